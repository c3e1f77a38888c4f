"""The picture of a search: everything on it, nothing overwritten."""

from pathlib import Path

import pytest
from PIL import Image

from goodviews.export import draw_neighbours
from goodviews.export.search.neighbours import CAPTION_PX, GAP_PX, TILE_PX
from goodviews.hub import OutputExists, UsageError


def test_seven_neighbours_stand_in_two_rows_beside_the_query(gallery: list[Path], tmp_path: Path):
    out = draw_neighbours(gallery[0], [(path, 0.9) for path in gallery[1:8]], tmp_path / "n.png")
    with Image.open(out) as picture:
        assert picture.height == 2 * (TILE_PX + CAPTION_PX + GAP_PX) + 2 * GAP_PX
        assert picture.width > 6 * TILE_PX
        last_row = picture.convert("L").crop((0, picture.height // 2, picture.width, picture.height))
        assert last_row.point(lambda value: 255 * (value < 128)).getbbox() is not None


def test_a_photo_that_is_gone_leaves_a_frame_and_the_others_stay(gallery: list[Path], tmp_path: Path):
    out = draw_neighbours(gallery[0], [(tmp_path / "gone.jpg", 0.9), (gallery[1], 0.8)], tmp_path / "n.jpg")
    with Image.open(out) as picture:
        assert picture.format == "JPEG"


def test_a_very_long_name_stays_under_its_own_photo(gallery: list[Path], tmp_path: Path):
    name = tmp_path / ("x" * 200 + ".jpg")
    name.write_bytes(gallery[1].read_bytes())
    with Image.open(draw_neighbours(name, [(gallery[2], 0.5)], tmp_path / "n.png")) as picture:
        gap = picture.convert("L").crop((GAP_PX + TILE_PX + 2, 0, GAP_PX + TILE_PX + 10, picture.height))
        assert gap.getextrema() == (255, 255)


def test_a_picture_that_exists_or_has_no_picture_name_is_refused(gallery: list[Path], tmp_path: Path):
    (tmp_path / "n.png").write_text("mine")
    with pytest.raises(OutputExists):
        draw_neighbours(gallery[0], [(gallery[1], 1.0)], tmp_path / "n.png")
    assert (tmp_path / "n.png").read_text() == "mine"
    with pytest.raises(UsageError, match=r"\.png or \.jpg"):
        draw_neighbours(gallery[0], [(gallery[1], 1.0)], tmp_path / "n.txt")
