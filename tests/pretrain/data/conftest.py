"""Shared by the tests of data: a cache of their own, and a folder of odd photos."""

from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub.sources.files import Files
from goodviews.hub.sources.folders import open_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def odd_photos(photos: list[Path], tmp_path: Path) -> Files:
    """The photos of the tests, one of them turned by its EXIF, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos:
        (folder / path.name).symlink_to(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photos[0]).save(folder / "turned.jpg", exif=exif)
    (folder / "broken.jpg").write_text("no image")
    return open_folder(folder)
