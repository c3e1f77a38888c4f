"""from_pretrained("owner/name"): fetched once, only what is needed, usable offline, refused in a sentence."""

import json
from pathlib import Path

import pytest

from goodviews.hub import Encoder, UsageError, from_pretrained, save

from ..running_hub import RunningHub
from ..server.test_client import START

pytestmark = pytest.mark.oldest
LOAD = """
import sys
from goodviews.hub import from_pretrained
from goodviews.hub.errors import GoodviewsError
def weights(name, **options):
    try:
        return from_pretrained(name, **options).report_id().weights_sha256
    except GoodviewsError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def published(hub: RunningHub, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two revisions of team/fetched: the digests of their weights."""
    digests = {}
    for revision in ("v1", "main"):
        folder = save(encoder, tmp_path_factory.mktemp("encoder") / revision)
        upload = f"api.upload_folder(repo_id='team/fetched', folder_path={str(folder)!r})"
        code = START + f"api.create_repo('team/fetched', exist_ok=True); {upload}"
        code += "; api.create_tag('team/fetched', tag='v1')" if revision == "v1" else ""
        hub.client(code, home=tmp_path_factory.mktemp("hf"))
        digests[revision] = str(json.loads((folder / "config.json").read_text())["goodviews"]["weights_sha256"])
        encoder = from_pretrained("random:resnet18-w0.25-32px@5")
    return digests


def test_a_repository_is_loaded_by_name_revision_and_prefix(hub: RunningHub, published: dict[str, str], home: Path):
    code = LOAD + "names = ['team/fetched', 'hf-hub:team/fetched', 'team/fetched@v1']\n"
    code += "print([weights(name) for name in names], weights('team/fetched', revision='v1'))\n"
    code += "print(from_pretrained('team/fetched', revision='v1').source)"
    found, source = hub.client(code, home=home, token=None).splitlines()
    main, first = published["main"], published["v1"]
    assert found == f"{[main, main, first]} {first}"
    assert source == "team/fetched@v1"  # the name of these weights, for reports and indexes
    cached = {path.name for path in home.rglob("snapshots/*/*")}
    assert cached == {"config.json", "model.safetensors"}  # nothing that is not needed


def test_what_is_cached_is_loaded_without_the_network(hub: RunningHub, published: dict[str, str], home: Path):
    once = LOAD + "print(weights('team/fetched'))"
    assert hub.client(once, home=home, token=None) == published["main"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert hub.client(once, home=home, token=None, **offline) == published["main"]
    only = (
        LOAD
        + "print(weights('team/fetched', local_files_only=True)); print(weights('team/absent', local_files_only=True))"
    )
    first, second = hub.client(only, home=home, token=None, HF_ENDPOINT="http://127.0.0.1:9").splitlines()
    assert first == published["main"]
    assert "team/absent could not be read: it is not in the cache" in second


def test_a_repository_that_cannot_be_loaded_is_refused_in_one_sentence(
    hub: RunningHub, published: dict[str, str], home: Path
):
    code = START + "api.create_repo('team/other', exist_ok=True)\n"
    code += "api.upload_file(repo_id='team/other', path_or_fileobj=b'x', path_in_repo='weights.pth')\n"
    code += "api.create_repo('team/closed', private=True, exist_ok=True)"
    hub.client(code, home=home)
    asked = ["team/other", "team/absent", "team/fetched@absent", "team/closed"]
    code = LOAD + f"for name in {asked!r}: print(weights(name))"
    other, absent, revision, closed = hub.client(code, home=home, token=None).splitlines()
    assert "team/other is no encoder that can be loaded" in other
    assert "weights.pth" in other
    assert "has no such repository" in absent
    assert "it has no revision absent" in revision
    assert "has no such repository, or it is private" in closed


def test_an_encoder_pushes_itself(hub: RunningHub, published: dict[str, str], home: Path):
    code = (
        LOAD
        + """
encoder = from_pretrained('random:resnet18-w0.25-32px@7')
print(encoder.push('team/self', private=True))
print(weights('team/self') == encoder.report_id().weights_sha256)
"""
    )
    address, same = hub.client(code, home=home).splitlines()[-2:]
    assert address.startswith(f"{hub.address}/team/self/commit/")
    assert same == "True"


def test_the_name_of_a_network_alone_is_answered_with_what_it_could_mean():
    with pytest.raises(UsageError, match=r"torchvision:resnet50, timm:resnet50\.\w+.*, random:resnet50"):
        from_pretrained("resnet50")
