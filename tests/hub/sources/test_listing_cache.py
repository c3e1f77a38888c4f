"""A large folder is listed once, until something in it changes."""

import os
from pathlib import Path

from goodviews.hub.sources import folders
from goodviews.hub.sources.folders import open_folder

LONG_AGO = 1_600_000_000


def many(root: Path, count: int = 3000) -> Path:
    for number in range(count):
        folder = root / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.jpg").touch()
    settle(root)
    return root


def settle(root: Path) -> None:
    """As if nothing had been changed for years."""
    for folder in (root, *(path for path in root.iterdir() if path.is_dir())):
        os.utime(folder, (LONG_AGO, LONG_AGO))


def test_large_folder_is_listed_once_and_a_file_that_is_added_or_removed_is_noticed(tmp_path, monkeypatch):
    root, listed = many(tmp_path / "many"), []
    listing = folders.walk
    monkeypatch.setattr(folders, "walk", lambda folder: listed.append(folder) or listing(folder))
    first, second = open_folder(root), open_folder(root)
    assert len(listed) == 1
    assert list(first.names) == list(second.names) == sorted(first.names)
    assert (second.labels == first.labels).all()
    assert first.describe() == second.describe()
    (root / "class1" / "new.jpg").touch()
    assert len(open_folder(root)) == 3001
    (root / "class1" / "00001.jpg").unlink()
    assert len(open_folder(root)) == 3000
    assert len(listed) == 3


def test_listing_of_a_folder_that_was_just_changed_is_not_trusted(tmp_path, cache):
    """Its time may not show a second change within one tick of the file system's clock."""
    root = many(tmp_path / "many", 1000)
    os.utime(root / "class2")
    open_folder(root)
    assert not cache.exists()


def test_damaged_cache_and_one_that_cannot_be_written_cost_nothing_but_time(tmp_path, cache, caplog):
    root = many(tmp_path / "many", 1000)
    open_folder(root)
    (listing,) = (cache / "listings").iterdir()
    listing.write_bytes(b"half a file")
    assert len(open_folder(root)) == 1000
    listing.unlink()
    listing.parent.rmdir()
    listing.parent.write_text("a file where the folder should be")
    assert len(open_folder(root)) == 1000
    assert "is not saved for next time" in caplog.text
