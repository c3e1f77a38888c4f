"""What an earlier goodviews wrote opens still: an encoder folder, an export and an index (`tests/old_files`)."""

import json
import shutil
from pathlib import Path

import pytest

from goodviews.export.index.image_index import load
from goodviews.export.index.update import add
from goodviews.export.search.photo_search import search
from goodviews.hub import check, from_pretrained, open_encoder
from goodviews.hub.cli import run

NAMES = ("encoder", "exported")


def test_an_old_encoder_folder_is_sound_and_its_old_export_is_the_same_encoder(old: Path):
    assert check(old / "encoder") == []
    ours, exported = from_pretrained(old / "encoder").id, open_encoder(old / "exported").id
    recorded = json.loads((old / "encoder" / "config.json").read_text())["goodviews"]
    assert ours.weights_sha256 == exported.weights_sha256 == recorded["weights_sha256"]
    assert exported.fingerprint == recorded["fingerprint"]
    assert ours.differences(exported) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_old_index_finds_its_photos_with_either_form_of_its_encoder(old: Path, name: str):
    index, encoder = load(old / "index"), open_encoder(old / name)
    for photo in sorted((old / "photos").iterdir()):
        first, second = search(index, encoder, photo, 2)
        assert first.item.path == photo.name
        assert first.similarity == pytest.approx(1, abs=1e-5)
        assert second.similarity < 0.97


def test_an_old_index_grows_and_stays_readable(old: Path):
    index = load(old / "index")
    shutil.copy(old / "photos" / "1.png", old / "photos" / "new.png")
    assert add(index, open_encoder(old / "encoder"), old / "photos").new == 1
    assert len(load(old / "index")) == 4


def test_the_command_opens_the_encoder_that_an_old_index_names(old: Path, capsys: pytest.CaptureFixture[str]):
    run(["search", str(old / "index"), str(old / "photos" / "2.png"), "-k", "1"])
    assert "2.png" in capsys.readouterr().out
