"""Objects drawn on a photo: boxes and masks by torchvision, names and scores by Pillow, in a colour for each class.

torchvision blackens masks where they overlap, so each is drawn alone, with an outline that separates neighbours of one
class. Its labels cover each other and leave the picture; here each goes to a free corner of its box, best object first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import max_pool2d
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from ..datasets.labelled_photos import Box, LabelledPhoto, Mask
from .detector import Detections

COLOURS = ("#e4572e", "#0fa3b1", "#f3a712", "#5b5bd6", "#d6409f", "#2f9e62", "#0588f0", "#a1660d", "#8e4ec6", "#c62a2f")
CROWD = "#f2f0ec"  # neither to be found nor wrong to find
OPACITY = 0.42  # of a mask's colour over the photo
SIDES_PX = (640, 1600)  # the longer side of a picture of one photo
LABEL_PX = 19  # height


@dataclass(frozen=True)
class Mark:
    """One object on a picture; coordinates in its pixels."""

    box: Box
    colour: str
    label: str
    mask: Tensor | None = None  # (H, W) bool, of the picture's size


def draw_detections(
    photo: Image.Image, detections: Detections, classes: Sequence[str], *, min_score: float = 0
) -> Image.Image:
    """A photo with the detected objects, at its own size unless that is tiny or huge.

    Args:
        photo: RGB, as the detector got it.
        detections: In the photo.
        classes: Those of the detector.
        min_score: Of what is drawn.
    """
    longer = max(photo.size)
    scale = min(max(longer, SIDES_PX[0]), SIDES_PX[1]) / longer
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    picture = photo.resize(size, Image.Resampling.LANCZOS)
    return draw_marks(picture, marks_of_detections(detections, classes, size, scale, min_score))


def draw_marks(picture: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """A copy with the marks on it; the first lies on top."""
    if not marks:
        return picture.copy()
    pixels = pil_to_tensor(picture)
    for mark in reversed(marks):
        if mark.mask is not None:
            pixels = draw_segmentation_masks(pixels, mark.mask, alpha=OPACITY, colors=mark.colour)
            pixels = draw_segmentation_masks(pixels, _outline(mark.mask), alpha=1.0, colors=mark.colour)
    boxes, colours = torch.tensor([mark.box for mark in reversed(marks)]), [mark.colour for mark in reversed(marks)]
    width = 2 if any(mark.mask is not None for mark in marks) else 3
    drawn = to_pil_image(draw_bounding_boxes(pixels, boxes, colors=colours, width=width))
    _draw_labels(drawn, marks)
    return drawn


def marks_of_detections(
    detections: Detections, classes: Sequence[str], size: tuple[int, int], scale: float, min_score: float
) -> list[Mark]:
    """The detections with at least that score, highest first, for a picture of that size."""
    return [
        Mark(
            scale_box(detections.boxes[index], scale),
            colour_of(detections.names[index], classes),
            f"{detections.names[index]} {detections.scores[index]:.2f}",
            None if detections.masks is None else _scale_mask(detections.masks[index], size, scale),
        )
        for index in np.argsort(-detections.scores, kind="stable").tolist()
        if detections.scores[index] >= min_score
    ]


def marks_of_labels(photo: LabelledPhoto, classes: Sequence[str], size: tuple[int, int], scale: float) -> list[Mark]:
    """Every labelled object with its mask; a crowd in pale grey, named so."""
    return [
        Mark(
            scale_box(thing.box, scale),
            CROWD if thing.is_crowd else colour_of(thing.name, classes),
            f"crowd: {thing.name}" if thing.is_crowd else thing.name,
            None if thing.mask is None else _scale_mask(thing.mask, size, scale),
        )
        for thing in sorted(photo.objects, key=lambda thing: thing.is_crowd)
    ]


def colour_of(name: str, classes: Sequence[str]) -> str:
    """The colour of a class; after ten they repeat."""
    return COLOURS[list(classes).index(name) % len(COLOURS)]


def draw_dashed(draw: ImageDraw.ImageDraw, box: Box, light: str = "white") -> None:
    """Draws a white dashed rectangle with a dark edge, visible on any photo; torchvision has no dashes."""
    x1, y1, x2, y2 = box
    for shift, colour in ((1, "#000000"), (0, light)):
        for start, end in _dashes(x1, x2):
            for y in (y1, y2):
                draw.line((start + shift, y + shift, end + shift, y + shift), colour, 2)
        for start, end in _dashes(y1, y2):
            for x in (x1, x2):
                draw.line((x + shift, start + shift, x + shift, end + shift), colour, 2)


def scale_box(box: Sequence[float], scale: float) -> Box:
    """The corner pixels of a box in a picture of the photo."""
    x1, y1, x2, y2 = (float(edge) * scale for edge in box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: it has the letters of most languages that classes are named in."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size_px)


def _scale_mask(mask: Mask, size: tuple[int, int], scale: float) -> Tensor:
    from ..datasets.labelled_photos import Rle
    from ..datasets.masks import decode

    height, width = mask.size if isinstance(mask, Rle) else (round(size[1] / scale), round(size[0] / scale))
    pixels = Image.fromarray(decode(mask, height, width) * np.uint8(255)).resize(size, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(pixels) >= 128)


def _outline(mask: Tensor, width_px: int = 2) -> Tensor:
    """The pixels of a mask within `width_px` of its edge."""
    outside = (~mask).float()[None]
    return mask & max_pool2d(outside, 2 * width_px + 1, stride=1, padding=width_px)[0].bool()


def _draw_labels(picture: Image.Image, marks: Sequence[Mark]) -> None:
    """Draws each label in a corner of its box that no earlier label covers, or nowhere."""
    draw, patches = ImageDraw.Draw(picture), list[Box]()
    for mark in marks:
        width = draw.textlength(mark.label, font(13, bold=True)) + 10
        for patch in _label_patches(mark.box, width):
            if _is_inside(patch, picture.size) and not any(_overlap(patch, other) for other in patches):
                patches.append(patch)
                draw.rectangle(patch, fill=mark.colour)
                ink, at = "#3b3936" if mark.colour == CROWD else "white", (patch[0] + 5, patch[1] + LABEL_PX / 2)
                draw.text(at, mark.label, ink, font(13, bold=True), anchor="lm")
                break


def _label_patches(box: Box, width: float) -> list[Box]:
    """Where the label of a box may be, best first: above its top, below its top, above its bottom."""
    tops, lefts = (box[1] - LABEL_PX + 2, box[1], box[3] - LABEL_PX), (box[0], box[2] - width)
    return [(left, top, left + width, top + LABEL_PX) for top in tops for left in lefts]


def _is_inside(patch: Box, size: tuple[int, int]) -> bool:
    return patch[0] >= -2 and patch[1] >= 0 and patch[2] <= size[0] + 2 and patch[3] <= size[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _dashes(low: float, high: float, dash_px: float = 7, gap_px: float = 5) -> list[tuple[float, float]]:
    count = max(1, int((high - low) / (dash_px + gap_px)) + 1)
    return [
        (start, min(start + dash_px, high)) for start in (low + number * (dash_px + gap_px) for number in range(count))
    ]
