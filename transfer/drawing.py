"""A page of test photos with the boxes that were found and those that were to be found."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from .detection import Detections
from .labelled_photos import LabelledPhoto, read_photo

MIN_SCORE = 0.5  # of a box that is drawn
PHOTOS = 12
PAGE_PX, MARGIN_PX, GAP_PX, ROW_PX, CAPTION_PX, HEADER_PX = 1360, 36, 14, 260, 26, 104
PAPER, INK, QUIET = "#fbfaf8", "#1c1b1a", "#77736d"
COLOURS = ("#e4572e", "#0fa3b1", "#f3a712", "#5b5bd6", "#d6409f", "#2f9e62", "#0588f0", "#a1660d", "#8e4ec6", "#c62a2f")

Box = tuple[float, float, float, float]


def draw_samples(
    photos: Sequence[LabelledPhoto], found: Sequence[Detections], classes: Sequence[str], *, title: str
) -> Image.Image:
    """Up to twelve photos, evenly spaced through the test split so that none is picked by its result.

    Args:
        photos: at least one.
        found: one entry a photo, in the same order.
        classes: what each colour stands for.
        title: the page's first line.
    """
    step = max(1, len(photos) / PHOTOS)
    chosen = [int(step * number) for number in range(min(PHOTOS, len(photos)))]
    rows = _rows([(photos[index], found[index]) for index in chosen])
    height = HEADER_PX + sum(row[0][2] + CAPTION_PX + GAP_PX for row in rows) + MARGIN_PX - GAP_PX
    page = Image.new("RGB", (PAGE_PX, height), PAPER)
    _draw_header(ImageDraw.Draw(page), title, classes)
    top = HEADER_PX
    for row in rows:
        left = MARGIN_PX
        for photo, boxes, row_px in row:
            card = draw_boxes(photo, boxes, classes, row_px)
            page.paste(card, (left, top))
            _draw_caption(ImageDraw.Draw(page), (left, top + row_px + 5), card.width, photo, boxes)
            left += card.width + GAP_PX
        top += row[0][2] + CAPTION_PX + GAP_PX
    return page


def draw_boxes(photo: LabelledPhoto, found: Detections, classes: Sequence[str], height_px: int) -> Image.Image:
    """One photo: what was to be found dashed in white, what was found in the colour of its class."""
    image = read_photo(photo).resize(
        (round(photo.width * height_px / photo.height), height_px), Image.Resampling.LANCZOS
    )
    draw, scale = ImageDraw.Draw(image), height_px / photo.height
    for thing in photo.objects:
        _draw_dashed(draw, _scaled(thing.box, scale))
    shown = [index for index in range(len(found.names)) if found.scores[index] >= MIN_SCORE]
    boxes = [_scaled(tuple(found.boxes[index]), scale) for index in shown]
    colours = [COLOURS[list(classes).index(found.names[index]) % len(COLOURS)] for index in shown]
    for box, colour in reversed(list(zip(boxes, colours))):  # the best on top
        draw.rectangle(box, outline=colour, width=3)
    taken: list[Box] = []
    for index, box, colour in zip(shown, boxes, colours):
        _draw_label(draw, box, f"{found.names[index]} {found.scores[index]:.2f}", colour, image.size, taken)
    return image


def _rows(entries: list[tuple[LabelledPhoto, Detections]]) -> list[list[tuple[LabelledPhoto, Detections, int]]]:
    """Rows of (photo, boxes, height in px) that fill the page's width; what is left over is left out."""
    rows: list[list[tuple[LabelledPhoto, Detections, int]]] = []
    waiting: list[tuple[LabelledPhoto, Detections]] = []
    for photo, boxes in entries:
        waiting.append((photo, boxes))
        free = PAGE_PX - 2 * MARGIN_PX - GAP_PX * (len(waiting) - 1)
        fitting = free / sum(one.width / one.height for one, _ in waiting)
        if fitting <= ROW_PX:
            rows.append([(*entry, int(fitting)) for entry in waiting])
            waiting = []
    if waiting and len(rows) < 2:
        rows.append([(*entry, ROW_PX) for entry in waiting])
    return rows


def _draw_header(draw: ImageDraw.ImageDraw, title: str, classes: Sequence[str]) -> None:
    draw.text((MARGIN_PX, 26), title, INK, _font(24, bold=True))
    left, top = MARGIN_PX, 68
    _draw_dashed(draw, (left, top + 1, left + 22, top + 15), light=QUIET)
    left = _draw_words(draw, left + 30, top, "labelled")
    for name, colour in zip(classes, COLOURS) if len(classes) <= len(COLOURS) else [("any class", COLOURS[0])]:
        draw.rectangle((left, top + 1, left + 22, top + 15), outline=colour, width=3)
        left = _draw_words(draw, left + 30, top, name)
    draw.text((left, top), f"found, with a score of {MIN_SCORE} or more", QUIET, _font(14))


def _draw_words(draw: ImageDraw.ImageDraw, left: float, top: float, words: str) -> int:
    draw.text((left, top), words, INK, _font(14))
    return int(left + draw.textlength(words, _font(14))) + 24


def _draw_caption(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, photo: LabelledPhoto, found: Detections
) -> None:
    """As much as the photo is wide for; the numbers matter more than the name."""
    counts = f"{len(photo.objects)} labelled, {int((found.scores >= MIN_SCORE).sum())} found"
    choices = [f"{photo.id}   {counts}", counts, photo.id]
    draw.text(
        at, next((words for words in choices if draw.textlength(words, _font(12)) <= width), ""), QUIET, _font(12)
    )


def _draw_label(
    draw: ImageDraw.ImageDraw, box: Box, words: str, colour: str, size: tuple[int, int], taken: list[Box]
) -> None:
    """Name and score on a patch of colour, in a corner of the box where no better box has its own, or nowhere."""
    font, height = _font(13, bold=True), 19
    width = draw.textlength(words, font) + 10
    for top in (box[1] - height + 2, box[1], box[3] - height):
        for left in (box[0], box[2] - width):
            patch = (left, top, left + width, top + height)
            is_inside = left >= -2 and top >= 0 and patch[2] <= size[0] + 2 and patch[3] <= size[1]
            if is_inside and not any(_meet(patch, other) for other in taken):
                draw.rectangle(patch, fill=colour)
                draw.text((left + 5, top + height / 2), words, "white", font, anchor="lm")
                taken.append(patch)
                return


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_dashed(draw: ImageDraw.ImageDraw, box: Box, light: str = "white") -> None:
    """A white dashed rectangle with a dark edge, to be seen on any photo."""
    x1, y1, x2, y2 = box
    for shift, colour in ((1, "#000000"), (0, light)):
        for start, end in _dashes(x1, x2):
            for y in (y1, y2):
                draw.line((start + shift, y + shift, end + shift, y + shift), colour, 2)
        for start, end in _dashes(y1, y2):
            for x in (x1, x2):
                draw.line((x + shift, start + shift, x + shift, end + shift), colour, 2)


def _dashes(low: float, high: float, dash_px: float = 7, gap_px: float = 5) -> list[tuple[float, float]]:
    count = max(1, int((high - low) / (dash_px + gap_px)) + 1)
    return [
        (start, min(start + dash_px, high)) for start in (low + number * (dash_px + gap_px) for number in range(count))
    ]


def _scaled(box: Sequence[float], scale: float) -> Box:
    x1, y1, x2, y2 = (float(edge) * scale for edge in box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def _font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: it has the letters of most languages that classes are named in."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size_px)
