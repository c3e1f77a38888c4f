"""A page of training photos with their labelled boxes and masks, to see before any training whether the labels fit."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import LabelledPhoto, read_photo
from ..datasets.photo_table import PhotoTable
from .draw_objects import draw_marks, font, marks_of_labels
from .samples_page import CAPTION_PX, GAP_PX, INK, MARGIN_PX, PAGE_PX, PAPER, QUIET

PHOTOS = 24
ROW_PX = 260
HEADER_PX = 84


def draw_labels(data: DetectionData, *, photos: int = PHOTOS) -> Image.Image:
    """The photos of each class in turn, evenly spaced through training, each with every label; rare classes first.

    Args:
        data: With a training photo.
        photos: At most so many.
    """
    chosen = choose_photos(data.train, data.classes, photos)
    cards = [(_card(photo, data.classes), photo) for photo in chosen]
    rows = _rows(cards)
    page = Image.new("RGB", (PAGE_PX, HEADER_PX + len(rows) * (ROW_PX + CAPTION_PX + GAP_PX) + MARGIN_PX), PAPER)
    draw = ImageDraw.Draw(page)
    title = f"{data.name}: labels of {len(chosen)} of {len(data.train)} training photos"
    draw.text((MARGIN_PX, 22), title, INK, font(24, bold=True))
    draw.text((MARGIN_PX, 56), f"{' + '.join(data.train_splits)}; the rarest classes come first", QUIET, font(14))
    for number, row in enumerate(rows):
        left, top = MARGIN_PX, HEADER_PX + number * (ROW_PX + CAPTION_PX + GAP_PX)
        for card, photo in row:
            page.paste(card, (left, top))
            _write_caption(draw, (left, top + ROW_PX + 5), card.width, photo)
            left += card.width + GAP_PX
    return page


def choose_photos(train: PhotoTable, classes: Sequence[str], most: int) -> list[LabelledPhoto]:
    """Photos in which each class comes in turn, the rarest first, so that a misspelt name is among them."""
    photo_of = np.repeat(np.arange(len(train)), train.counts)
    labels = train.labels
    showing = {name: np.unique(photo_of[labels == label]).tolist() for label, name in enumerate(train.names)}
    ranked = sorted((name for name in classes if showing.get(name)), key=lambda name: (len(showing[name]), name))
    each = -(-most // max(1, len(ranked)))
    turns = [_spread(showing[name], each) for name in ranked]
    chosen = dict.fromkeys(turn[place] for place in range(each) for turn in turns if place < len(turn))
    return [train[place] for place in list(chosen)[:most] or range(min(most, len(train)))]


def _spread(photos: Sequence[int], most: int) -> list[int]:
    step = max(1, len(photos) / most)
    return [photos[int(step * number)] for number in range(min(most, len(photos)))]


def _card(photo: LabelledPhoto, classes: Sequence[str]) -> Image.Image:
    """The photo at the height of a row; one so wide that it would leave the page is cut."""
    scale = ROW_PX / photo.height
    size = (max(1, round(photo.width * scale)), ROW_PX)
    picture = read_photo(photo).resize(size, Image.Resampling.LANCZOS)
    drawn = draw_marks(picture, marks_of_labels(photo, classes, size, scale))
    return drawn.crop((0, 0, min(drawn.width, PAGE_PX - 2 * MARGIN_PX), ROW_PX))


def _rows(cards: list[tuple[Image.Image, LabelledPhoto]]) -> list[list[tuple[Image.Image, LabelledPhoto]]]:
    rows: list[list[tuple[Image.Image, LabelledPhoto]]] = [[]]
    for card in cards:
        width = sum(one.width + GAP_PX for one, _ in rows[-1]) + card[0].width
        if rows[-1] and width > PAGE_PX - 2 * MARGIN_PX:
            rows.append([])
        rows[-1].append(card)
    return rows


def _write_caption(draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, photo: LabelledPhoto) -> None:
    """As much as fits under the photo."""
    names = sorted({thing.name for thing in photo.objects if not thing.is_crowd})
    choices = [f"{photo.id}   {len(photo.objects)} labelled: {', '.join(names)}", f"{photo.id}   {len(photo.objects)}"]
    text = next((words for words in choices if draw.textlength(words, font(12)) <= width), photo.id)
    draw.text(at, text, QUIET, font(12))
