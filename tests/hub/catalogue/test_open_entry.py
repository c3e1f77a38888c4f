import hashlib
import io
import json

import pytest
import torch

from goodviews.hub import ArtifactError, check, load
from goodviews.hub.backbone import build_backbone
from goodviews.hub.catalogue import entries
from goodviews.hub.catalogue.open_entry import open_catalogue_entry
from goodviews.hub.errors import UsageError


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    torch.manual_seed(0)
    state = build_backbone("resnet18", width=0.125).state_dict()
    stream = io.BytesIO()
    torch.save({"state_dict": {f"module.encoder_q.{name}": tensor for name, tensor in state.items()}}, stream)
    return stream.getvalue()


@pytest.fixture
def catalogue(server, checkpoint, monkeypatch):
    """One entry, "ours", whose file the server has; keyword arguments change it."""
    server.files["/moco.pth.tar"] = checkpoint

    def write(**changes: object) -> None:
        entry = {
            "name": "ours",
            "method": "MoCo",
            "address": {"is": f"{server.address}/moco.pth.tar", "at": "page"},
            "licence": {"is": "mit", "at": "page"},
            "checksum": {"is": hashlib.md5(checkpoint).hexdigest()[:8], "kind": "md5", "at": "page"},
            "importer": {"is": "moco", "at": "page"},
            **changes,
        }
        sources = {"page": {"page": "https://example.org/moco", "read": "2026-11"}}
        entry = {key: value for key, value in entry.items() if value is not None}
        parsed = entries.parse({"sources": sources, "preprocessings": {}, "entry": [entry]})
        monkeypatch.setattr(entries, "read_entries", lambda: parsed)

    write()
    return write


def test_an_entry_becomes_a_sound_folder_that_is_kept(catalogue, server, tmp_path, checkpoint):
    server.break_after, server.breaks = len(checkpoint) // 2, 1
    folder = open_catalogue_entry("ours", cache_dir=tmp_path)
    assert check(folder) == []
    origin = load(folder).origin
    assert (origin.name, origin.licence) == ("ours", "mit")
    config = json.loads((folder / "config.json").read_text())
    assert config["goodviews"]["imported"] == {
        "file": "moco.pth.tar",
        "sha256": hashlib.sha256(checkpoint).hexdigest(),
        "format": "moco",
        "address": f"{server.address}/moco.pth.tar",
    }
    asked = len(server.requests)
    assert open_catalogue_entry("ours", cache_dir=tmp_path, local_files_only=True) == folder
    assert len(server.requests) == asked
    assert not list(tmp_path.rglob("*.partial*"))
    assert not list(tmp_path.rglob("*.pth.tar"))


def test_an_entry_that_was_corrected_is_fetched_anew(catalogue, tmp_path):
    first = open_catalogue_entry("ours", cache_dir=tmp_path)
    catalogue(checksum=None)
    assert open_catalogue_entry("ours", cache_dir=tmp_path) != first


def test_a_file_of_another_digest_is_deleted(catalogue, tmp_path):
    catalogue(checksum={"is": "00000000", "kind": "md5", "at": "page"})
    with pytest.raises(ArtifactError, match=r"but https://example\.org/moco says 00000000.* It was deleted"):
        open_catalogue_entry("ours", cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.tar"))


def test_a_dead_address_says_so_and_where_to_look(catalogue, server, tmp_path):
    server.files.clear()
    with pytest.raises(ArtifactError, match=r"answers 404.* look for a copy of moco\.pth\.tar: .*example\.org/moco"):
        open_catalogue_entry("ours", cache_dir=tmp_path)


def test_a_copy_is_tried_when_the_address_is_dead(catalogue, server, tmp_path, checkpoint):
    server.files = {"/copy/moco.pth.tar": checkpoint}
    catalogue(copies=[{"is": f"{server.address}/copy/moco.pth.tar", "at": "page"}])
    folder = open_catalogue_entry("ours", cache_dir=tmp_path)
    address = json.loads((folder / "config.json").read_text())["goodviews"]["imported"]["address"]
    assert address.endswith("/copy/moco.pth.tar")


def test_what_only_a_browser_can_fetch_is_taken_from_where_it_was_put(catalogue, server, tmp_path, checkpoint):
    catalogue(
        by_hand={"is": "the address is a folder of several files", "at": "page"},
        file={"is": "InfoMin.pth", "at": "page"},
    )
    with pytest.raises(
        ArtifactError, match=r"folder of several files\. To use it, get InfoMin\.pth with a browser"
    ) as error:
        open_catalogue_entry("ours", cache_dir=tmp_path)
    assert server.requests == []
    place = next(tmp_path.glob("catalogue/ours-*")) / "download" / "InfoMin.pth"
    assert str(place) in str(error.value)
    place.parent.mkdir()
    place.write_bytes(checkpoint)
    assert check(open_catalogue_entry("ours", cache_dir=tmp_path)) == []


def test_a_file_that_cannot_be_imported_leaves_no_folder(catalogue, server, tmp_path):
    server.files["/moco.pth.tar"] = b"PK\x03\x04 damaged"
    catalogue(checksum=None)
    with pytest.raises(ArtifactError, match="nothing in it was run"):
        open_catalogue_entry("ours", cache_dir=tmp_path)
    assert not list(tmp_path.glob("catalogue/*/encoder"))


def test_without_the_network_and_without_an_importer_there_is_a_sentence(catalogue, server, tmp_path):
    with pytest.raises(ArtifactError, match="not in the cache, and the network is not to be used"):
        open_catalogue_entry("ours", cache_dir=tmp_path, local_files_only=True)
    catalogue(importer=None, reason={"is": "it is TensorFlow's", "at": "page"})
    with pytest.raises(ArtifactError, match="ours cannot be imported: it is TensorFlow's"):
        open_catalogue_entry("ours", cache_dir=tmp_path)
    with pytest.raises(UsageError, match="The catalogue has no theirs"):
        open_catalogue_entry("theirs", cache_dir=tmp_path)
    assert server.requests == []
