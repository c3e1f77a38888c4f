import errno

import pytest

from goodviews.hub import GoodviewsError, OutputExists
from goodviews.hub.atomic import new_folder, refuse_existing, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_only_when_its_block_ends_well(tmp_path):
    with new_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]
    with pytest.raises(ValueError), new_folder(tmp_path / "other") as partial:
        (partial / "a").write_text("1")
        raise ValueError
    assert names(tmp_path) == ["out"]


def test_an_existing_folder_is_kept_unless_it_may_be_replaced(tmp_path):
    write_text(tmp_path / "out" / "a", "old")
    with pytest.raises(OutputExists, match="--overwrite"), new_folder(tmp_path / "out"):
        pass
    with pytest.raises(ValueError), new_folder(tmp_path / "out", overwrite=True):
        raise ValueError
    assert (tmp_path / "out" / "a").read_text() == "old"
    with new_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "b").write_text("new")
    assert names(tmp_path / "out") == ["b"]
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    refuse_existing(tmp_path, overwrite=False)
    with new_folder(tmp_path / "x") as partial:
        (partial / "a").touch()


def test_a_full_disk_leaves_the_old_file_and_one_sentence(tmp_path, monkeypatch):
    path = write_text(tmp_path / "a.json", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(GoodviewsError, match="No space left on device"):
        write_json(path, {"new": 1})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_numbers_that_json_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
