"""What is recorded of a command is published with every report and page."""

import sys

import pytest

from goodviews.hub.reports.provenance import command


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["transfer", "knn", "--data", "/home/me/photos"], "goodviews transfer knn --data photos"),
        (["hub", "serve", "hub", "--token", "a-secret", "--port", "1"], "goodviews hub serve hub --token ... --port 1"),
        (["hub", "serve", "hub", "--token=a-secret"], "goodviews hub serve hub --token=..."),
    ],
)
def test_it_shows_no_folders_of_its_user_and_no_token(words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/goodviews", *words])
    assert command() == shown
