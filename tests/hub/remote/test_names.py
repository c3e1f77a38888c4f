"""How a repository may be written."""

import pytest

from goodviews.hub.remote.names import Repository, parse_repository


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", Repository("owner/name", "main")),
        ("owner/name@v1.0", Repository("owner/name", "v1.0")),
        ("hf-hub:owner/name@feature/x", Repository("owner/name", "feature/x")),
        ("resnet50", None),
        ("a/b/c", None),
        ("./folder/encoder", None),
        ("/absolute/path", None),
        ("owner/", None),
        ("owner/name@", None),
    ],
)
def test_a_repository_is_owner_and_name_with_a_revision_at_will(text: str, expected: Repository | None):
    assert parse_repository(text) == expected


def test_a_revision_given_beside_the_name_counts():
    assert parse_repository("owner/name@v1", revision="v2") == Repository("owner/name", "v2")
