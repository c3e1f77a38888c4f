"""A page of test photos with their labelled and their detected objects.

Boxes share one picture of a photo, the labelled ones dashed in white. Masks would hide each other: with them each photo
is shown twice, labelled on the left and found on the right. A crowd is no miss: it is pale and named, or absent.
"""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..datasets.labelled_photos import LabelledPhoto, read_photo
from .detector import Detections
from .draw_objects import (
    COLOURS,
    colour_of,
    draw_dashed,
    draw_marks,
    font,
    marks_of_detections,
    marks_of_labels,
    scale_box,
)

MIN_SCORE = 0.5  # of what is drawn
PHOTOS, PAIRS = 12, 8
ROW_PX, PAIRS_ROW_PX = 260, 330  # at most
PAGE_PX, MARGIN_PX, GAP_PX, CAPTION_PX, HEADER_PX = 1360, 36, 14, 26, 104
BETWEEN_PX = 3  # the two pictures of a pair
PAPER, INK, QUIET = "#fbfaf8", "#1c1b1a", "#77736d"

Entry = tuple[LabelledPhoto, Detections]


def draw_samples(
    photos: Sequence[LabelledPhoto], detections: Sequence[Detections], classes: Sequence[str], *, title: str
) -> Image.Image:
    """A few photos, evenly spaced through the test split so that none is picked by its result.

    Args:
        photos: At least one.
        detections: One entry a photo, in the same order.
        classes: What each colour stands for.
        title: The page's first line.
    """
    has_masks = any(one.masks is not None for one in detections)
    most = PAIRS if has_masks else PHOTOS
    step = max(1, len(photos) / most)
    positions = [int(step * number) for number in range(min(most, len(photos)))]
    entries = [(photos[index], detections[index]) for index in positions]
    rows = _rows(entries, 2, PAIRS_ROW_PX) if has_masks else _rows(entries, 1, ROW_PX)
    height = HEADER_PX + sum(row[0][1] + CAPTION_PX + GAP_PX for row in rows) + MARGIN_PX - GAP_PX
    page = Image.new("RGB", (PAGE_PX, height), PAPER)
    _draw_header(ImageDraw.Draw(page), title, classes, has_masks)
    draw, top = draw_pair if has_masks else draw_boxes, HEADER_PX
    for row in rows:
        left = MARGIN_PX
        for entry, row_px in row:
            card = draw(*entry, classes, row_px)
            page.paste(card, (left, top))
            _draw_caption(ImageDraw.Draw(page), (left, top + row_px + 5), card.width, entry)
            left += card.width + GAP_PX
        top += row[0][1] + CAPTION_PX + GAP_PX
    return page


def draw_boxes(photo: LabelledPhoto, detections: Detections, classes: Sequence[str], height_px: int) -> Image.Image:
    """One photo: labelled boxes dashed in white, detected ones in the colour of their class."""
    picture, scale = _read_resized(photo, height_px)
    draw = ImageDraw.Draw(picture)
    for thing in photo.objects:
        if not thing.is_crowd:
            draw_dashed(draw, scale_box(thing.box, scale))
    return draw_marks(picture, marks_of_detections(detections, classes, picture.size, scale, MIN_SCORE))


def draw_pair(photo: LabelledPhoto, detections: Detections, classes: Sequence[str], height_px: int) -> Image.Image:
    """One photo twice: its labelled objects on the left, the detected ones on the right."""
    picture, scale = _read_resized(photo, height_px)
    pair = Image.new("RGB", (2 * picture.width + BETWEEN_PX, height_px), PAPER)
    pair.paste(draw_marks(picture, marks_of_labels(photo, classes, picture.size, scale)), (0, 0))
    marks = marks_of_detections(detections, classes, picture.size, scale, MIN_SCORE)
    pair.paste(draw_marks(picture, marks), (picture.width + BETWEEN_PX, 0))
    return pair


def _read_resized(photo: LabelledPhoto, height_px: int) -> tuple[Image.Image, float]:
    size = (round(photo.width * height_px / photo.height), height_px)
    return read_photo(photo).resize(size, Image.Resampling.LANCZOS), height_px / photo.height


def _rows(entries: list[Entry], pictures: int, most_px: int) -> list[list[tuple[Entry, int]]]:
    """Rows of (entry, height in px) that fill the page's width; entries that fill no row are left out.

    Args:
        entries: In the order of the page.
        pictures: Of each photo.
        most_px: The largest height of a row.
    """
    rows: list[list[tuple[Entry, int]]] = []
    waiting: list[Entry] = []
    for entry in entries:
        waiting.append(entry)
        free = PAGE_PX - 2 * MARGIN_PX - GAP_PX * (len(waiting) - 1) - BETWEEN_PX * (pictures - 1) * len(waiting)
        fitting = free / sum(pictures * photo.width / photo.height for photo, _ in waiting)
        if fitting <= most_px:
            rows.append([(one, int(fitting)) for one in waiting])
            waiting = []
    if waiting and len(rows) < 2:
        rows.append([(one, most_px) for one in waiting])
    return rows


def _draw_header(draw: ImageDraw.ImageDraw, title: str, classes: Sequence[str], has_masks: bool) -> None:
    draw.text((MARGIN_PX, 26), title, INK, font(24, bold=True))
    left, top = MARGIN_PX, 68
    if has_masks:
        left = _draw_words(draw, left, top, "left: labelled, right: found")
    else:
        draw_dashed(draw, (left, top + 1, left + 22, top + 15), light=QUIET)
        left = _draw_words(draw, left + 30, top, "labelled")
    last = f"found, with a score of {MIN_SCORE} or more"
    for name, colour in _legend(draw, classes, PAGE_PX - MARGIN_PX - left - draw.textlength(last, font(14))):
        draw.rectangle((left, top + 1, left + 22, top + 15), outline=colour, width=3)
        left = _draw_words(draw, left + 30, top, name)
    draw.text((left, top), last, QUIET, font(14))


def _legend(draw: ImageDraw.ImageDraw, classes: Sequence[str], free_px: float) -> list[tuple[str, str]]:
    """Names and colours: those of the classes if they fit, else words that say what colours mean."""
    width = sum(54 + draw.textlength(name, font(14)) for name in classes)
    if len(classes) <= len(COLOURS) and width <= free_px:
        return [(name, colour_of(name, classes)) for name in classes]
    return [("", COLOURS[0]), ("", COLOURS[1]), ("a colour for each class", COLOURS[2])]


def _draw_words(draw: ImageDraw.ImageDraw, left: float, top: float, words: str) -> int:
    """Draws words and returns where the next ones begin."""
    if not words:
        return int(left)
    draw.text((left, top), words, INK, font(14))
    return int(left + draw.textlength(words, font(14))) + 24


def _draw_caption(draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, entry: Entry) -> None:
    """Draws as much as fits under the photo; the numbers matter more than the name."""
    photo, detections = entry
    labelled = sum(not thing.is_crowd for thing in photo.objects)
    counts = f"{labelled} labelled, {int((detections.scores >= MIN_SCORE).sum())} found"
    choices = [f"{photo.id}   {counts}", counts, photo.id]
    draw.text(at, next((words for words in choices if draw.textlength(words, font(12)) <= width), ""), QUIET, font(12))
