"""The picture of what the network sees."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.pretrained import from_pretrained
from goodviews.pretrain.analysis.commands import show
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.views.contact_sheet import draw
from goodviews.pretrain.views.operations import CutJigsaw, Flip, Grayscale, Normalize
from goodviews.pretrain.views.view import RandomResizedCrop, View

VIEWS = (
    View("query", RandomResizedCrop(224, (0.2, 1.0)), (Flip(), Grayscale(1.0), Normalize())),
    View("jigsaw", RandomResizedCrop(255, (0.6, 1.0)), (Flip(), CutJigsaw(), Normalize())),
)


def test_a_sheet_has_a_row_a_view_and_a_column_a_draw(photos: list[Path]):
    narrow, wide = (draw(VIEWS, photos[0], seed=0, count=count) for count in (2, 4))
    assert wide.width - narrow.width == 2 * 188
    low = draw(VIEWS[:1], photos[0], seed=0, count=2)
    assert narrow.height > low.height


def test_a_sheet_shows_views_in_their_own_colours(photos: list[Path]):
    sheet = np.asarray(draw(VIEWS, photos[0], seed=0, count=2)).astype(int)
    query, jigsaw = (
        sheet[28 + 46 + 20 : 28 + 46 + 150, 430:560],
        sheet[28 + 242 + 46 + 20 : 28 + 242 + 46 + 150, 430:560],
    )
    assert np.ptp(query, axis=2).max() == 0
    assert np.ptp(jigsaw, axis=2).max() > 20


def test_a_sheet_is_repeatable_and_changes_with_the_seed(photos: list[Path]):
    first, again, other = (draw(VIEWS, photos[0], seed=seed, count=2) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_sheet_of_a_recipe_that_adapts_is_of_the_size_of_the_encoder_that_it_starts_from(
    photos: list[Path], tmp_path: Path
):
    show("simclr_adapt", image=photos[0], out=tmp_path / "views.png", init="goodviews:mini", count=2)
    px = from_pretrained("goodviews:mini").preprocessing.input_px
    expected = draw(choose("simclr_adapt", start_px=px).views, photos[0], seed=0, count=2)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "views.png")), np.asarray(expected))
    assert px != choose("simclr_adapt").input_px


def test_a_file_that_is_no_image_has_no_sheet(tmp_path: Path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(DataError, match="is not an image that Pillow can read"):
        draw(VIEWS, tmp_path / "a.jpg", seed=0, count=2)


@pytest.mark.parametrize("count", [0, 101])
def test_a_sheet_of_no_draws_or_too_many_is_refused(photos: list[Path], count: int):
    with pytest.raises(UsageError, match=f"A sheet of {count} draws cannot be looked at; ask for 1 to 100"):
        draw(VIEWS, photos[0], seed=0, count=count)
