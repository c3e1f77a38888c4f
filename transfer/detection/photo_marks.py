"""What is drawn on a photo of detection: boxes, masks and names, in a colour for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ..datasets.labelled_photos import Box, LabelledPhoto, Mask
from .detector import Detections

COLOURS = ("#e4572e", "#0fa3b1", "#f3a712", "#5b5bd6", "#d6409f", "#2f9e62", "#0588f0", "#a1660d", "#8e4ec6", "#c62a2f")
CROWD = "#f2f0ec"  # neither to be found nor wrong to find
FILL = 0.42  # how much of a mask's colour covers the photo
SIDES_PX = (640, 1600)  # the longer side of a picture of one photo


@dataclass(frozen=True)
class Mark:
    """One object on a picture; coordinates in its pixels."""

    box: Box
    colour: str
    words: str
    mask: Image.Image | None = None  # mode L, of the picture's size


def colour_of(name: str, classes: Sequence[str]) -> str:
    """The colour of a class; after ten they begin anew."""
    return COLOURS[list(classes).index(name) % len(COLOURS)]


def draw_found(photo: Image.Image, found: Detections, classes: Sequence[str], *, min_score: float = 0) -> Image.Image:
    """A photo with what was found in it, at its own size unless that is tiny or huge.

    Args:
        photo: RGB, as it was given to the detector.
        found: what the detector said of it.
        classes: those of the detector.
        min_score: of what is drawn.
    """
    longer = max(photo.size)
    scale = min(max(longer, SIDES_PX[0]), SIDES_PX[1]) / longer
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    picture = photo.resize(size, Image.Resampling.LANCZOS)
    return draw_marks(picture, marks_of_found(found, classes, size, scale, min_score))


def draw_marks(picture: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """A copy with the marks on it; the first lies on top."""
    picture = picture.copy()
    for mark in reversed(marks):
        if mark.mask is not None:
            _fill(picture, mark.mask, mark.colour)
    draw = ImageDraw.Draw(picture)
    for mark in reversed(marks):
        draw.rectangle(mark.box, outline=mark.colour, width=3 if mark.mask is None else 2)
    taken: list[Box] = []
    for mark in marks:
        _draw_label(draw, mark, picture.size, taken)
    return picture


def marks_of_found(
    found: Detections, classes: Sequence[str], size: tuple[int, int], scale: float, min_score: float
) -> list[Mark]:
    """Best first, those with at least that score, for a picture of that size."""
    return [
        Mark(
            scaled(found.boxes[index], scale),
            colour_of(found.names[index], classes),
            f"{found.names[index]} {found.scores[index]:.2f}",
            None if found.masks is None else _drawn(found.masks[index], size, scale),
        )
        for index in np.argsort(-found.scores, kind="stable").tolist()
        if found.scores[index] >= min_score
    ]


def marks_of_labelled(photo: LabelledPhoto, classes: Sequence[str], size: tuple[int, int], scale: float) -> list[Mark]:
    """Every labelled object with its mask; a crowd in pale grey, named so."""
    return [
        Mark(
            scaled(thing.box, scale),
            CROWD if thing.is_crowd else colour_of(thing.name, classes),
            f"crowd: {thing.name}" if thing.is_crowd else thing.name,
            None if thing.mask is None else _drawn(thing.mask, size, scale),
        )
        for thing in sorted(photo.objects, key=lambda thing: thing.is_crowd)
    ]


def draw_dashed(draw: ImageDraw.ImageDraw, box: Box, light: str = "white") -> None:
    """A white dashed rectangle with a dark edge, to be seen on any photo."""
    x1, y1, x2, y2 = box
    for shift, colour in ((1, "#000000"), (0, light)):
        for start, end in _dashes(x1, x2):
            for y in (y1, y2):
                draw.line((start + shift, y + shift, end + shift, y + shift), colour, 2)
        for start, end in _dashes(y1, y2):
            for x in (x1, x2):
                draw.line((x + shift, start + shift, x + shift, end + shift), colour, 2)


def scaled(box: Sequence[float], scale: float) -> Box:
    """The corner pixels of a box in a picture of the photo."""
    x1, y1, x2, y2 = (float(edge) * scale for edge in box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: it has the letters of most languages that classes are named in."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size_px)


def _drawn(mask: Mask, size: tuple[int, int], scale: float) -> Image.Image:
    from ..datasets.labelled_photos import Rle
    from ..datasets.masks import decode

    height, width = mask.size if isinstance(mask, Rle) else (round(size[1] / scale), round(size[0] / scale))
    return Image.fromarray(decode(mask, height, width) * np.uint8(255)).resize(size, Image.Resampling.BILINEAR)


def _fill(picture: Image.Image, mask: Image.Image, colour: str) -> None:
    """A veil of colour, and an edge of it so that neighbours of one class stay apart."""
    flat = Image.new("RGB", picture.size, colour)
    picture.paste(flat, mask=mask.point(lambda value: int(value * FILL)))
    inside = mask.point(lambda value: 255 * (value >= 128))
    edge = np.asarray(inside) - np.asarray(inside.filter(ImageFilter.MinFilter(5)))
    picture.paste(flat, mask=Image.fromarray(edge))


def _draw_label(draw: ImageDraw.ImageDraw, mark: Mark, size: tuple[int, int], taken: list[Box]) -> None:
    """Words on a patch of colour, in a corner of the box where no better box has its own, or nowhere."""
    box, height = mark.box, 19
    width = draw.textlength(mark.words, font(13, bold=True)) + 10
    ink = "#3b3936" if mark.colour == CROWD else "white"
    for top in (box[1] - height + 2, box[1], box[3] - height):
        for left in (box[0], box[2] - width):
            patch = (left, top, left + width, top + height)
            is_inside = left >= -2 and top >= 0 and patch[2] <= size[0] + 2 and patch[3] <= size[1]
            if is_inside and not any(_meet(patch, other) for other in taken):
                draw.rectangle(patch, fill=mark.colour)
                draw.text((left + 5, top + height / 2), mark.words, ink, font(13, bold=True), anchor="lm")
                taken.append(patch)
                return


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _dashes(low: float, high: float, dash_px: float = 7, gap_px: float = 5) -> list[tuple[float, float]]:
    count = max(1, int((high - low) / (dash_px + gap_px)) + 1)
    return [
        (start, min(start + dash_px, high)) for start in (low + number * (dash_px + gap_px) for number in range(count))
    ]
