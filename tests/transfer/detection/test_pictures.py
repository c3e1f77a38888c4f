"""What is drawn of a detector: marks where things are, in the colour of their class, and no misses that are none."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.masks import encode
from goodviews.transfer.detection.curves_page import TITLE_LINE_IN, draw_classes, draw_curves
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.detection.draw_objects import COLOURS, OPACITY, draw_detections
from goodviews.transfer.detection.samples_page import draw_boxes, draw_pair, draw_samples
from goodviews.transfer.evaluation.precision_recall import ByClass, curve

CLASSES = ("cat", "dog")
GREY = (90, 90, 90)


@pytest.fixture
def photo(tmp_path: Path) -> LabelledPhoto:
    """A cat on the left and a crowd of dogs on the right of a grey photo of 200 x 150."""
    Image.new("RGB", (200, 150), GREY).save(tmp_path / "1.png")
    cat = LabelledObject("cat", (20, 30, 80, 90), mask=((20, 30, 80, 30, 80, 90, 20, 90),))
    many = np.zeros((150, 200), bool)
    many[30:140, 120:190] = True
    crowd = LabelledObject("dog", (120, 30, 190, 140), is_crowd=True, mask=encode(many))
    return LabelledPhoto("1", tmp_path / "1.png", 200, 150, (cat, crowd))


def found(score: float = 0.9, *, with_masks: bool = False) -> Detections:
    """A dog, where the cat is; its mask is the upper half of its box."""
    half = np.zeros((150, 200), bool)
    half[30:60, 20:80] = True
    box = np.array([[20.0, 30.0, 80.0, 90.0]])
    return Detections("1", box, np.array([score]), ("dog",), (encode(half),) if with_masks else None)


def veiled(colour: str) -> list[float]:
    return [(1 - OPACITY) * old + OPACITY * new for old, new in zip(GREY, ImageColor.getrgb(colour))]


def test_a_crowd_is_no_miss(photo: LabelledPhoto):
    drawn = np.asarray(draw_boxes(photo, found(0.1), CLASSES, 150))
    assert (drawn[:, :100] != GREY).any()  # the cat, dashed
    assert (drawn[:, 110:] == GREY).all()


def test_what_is_found_has_the_colour_of_its_class(photo: LabelledPhoto):
    drawn = draw_boxes(photo, found(), CLASSES, 150)
    assert drawn.getpixel((50, 88)) == ImageColor.getrgb(COLOURS[1])
    assert drawn.getpixel((50, 75)) == GREY


def test_masks_are_veils_labelled_on_the_left_and_found_on_the_right(photo: LabelledPhoto):
    drawn = draw_pair(photo, found(with_masks=True), CLASSES, 150)
    assert drawn.width == 2 * 200 + 3
    assert drawn.getpixel((50, 80)) == pytest.approx(veiled(COLOURS[0]), abs=3)  # all of the cat
    assert drawn.getpixel((203 + 50, 52)) == pytest.approx(veiled(COLOURS[1]), abs=3)
    assert drawn.getpixel((203 + 50, 75)) == GREY  # the lower half was not found
    assert drawn.getpixel((203 + 150, 100)) == GREY  # the crowd is on the left only


def test_a_picture_of_a_tiny_photo_is_enlarged_and_low_scores_are_left_out():
    tiny = Image.new("RGB", (40, 30), GREY)
    one = Detections("", np.array([[4.0, 4.0, 20.0, 20.0]]), np.array([0.4]), ("dog",))
    assert draw_detections(tiny, one, CLASSES, min_score=0.5).getcolors() == [(640 * 480, GREY)]
    assert draw_detections(tiny, one, CLASSES, min_score=0.3).getpixel((64, 200)) == ImageColor.getrgb(COLOURS[1])


@pytest.mark.parametrize("with_masks", [False, True])
def test_a_page_shows_photos_of_every_kind(photo: LabelledPhoto, with_masks: bool):
    nothing = Detections("2", np.zeros((0, 4)), np.zeros(0), (), () if with_masks else None)
    empty = LabelledPhoto("2", photo.path, 200, 150, ())
    many = tuple(f"class {number}" for number in range(30))
    entries = [photo, empty] * 8, [found(with_masks=with_masks), nothing] * 8
    for classes in (CLASSES, (*many, *CLASSES)):
        page = draw_samples(*entries, classes, title="cats")
        assert page.width == 1360
        assert page.height > 400


@pytest.mark.parametrize("count", [1, 7, 30])
def test_curves_and_bars_are_drawn_for_any_number_of_classes(tmp_path: Path, count: int):
    nothing = curve("nothing found", np.zeros(0, bool), 3, 0.0)
    curves = [curve(f"class {number}", np.array([True, False]), 2, number) for number in range(count - 1)] + [nothing]
    found = ByClass("AP50", {one.name: one.ap for one in curves}, tuple(curves))
    draw_curves(found, tmp_path / "curves.png", title="cats")
    draw_classes(found, tmp_path / "classes.png", title="cats")
    sizes = [Image.open(tmp_path / name).size for name in ("curves.png", "classes.png")]
    assert all(400 < width < 2000 for width, _ in sizes)
    assert sizes[1][1] == pytest.approx(110 * (1.6 + 0.24 * count + 2 * TITLE_LINE_IN), abs=1)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_titles_are_whole_however_long(tmp_path: Path, count: int, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_args, **_options: figures.append(figure))
    curves = [curve(f"class {number}", np.array([True, False]), 2, number) for number in range(count)]
    found = ByClass("AP50", {one.name: one.ap for one in curves}, tuple(curves))
    for draw in (draw_curves, draw_classes):
        draw(found, tmp_path / "no.png", title="an encoder of a name as long as they come, and then some: AP50 4.2 %")
    for figure in figures:
        figure.draw_without_rendering()
        texts = [figure._suptitle, *figure.texts, *(axes.title for axes in figure.axes if axes.get_visible())]
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
        assert "and then some: AP50 4.2 %" in " ".join(figure._suptitle.get_text().split())
