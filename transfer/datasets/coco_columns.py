"""Checks the annotations of a COCO file column by column, and finds each its photo. Torch-free.

Whatever the columns cannot vouch for is read from its entry by `read_object`, which accepts it or says what is wrong.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from ...hub.errors import DataError
from .coco_file import Annotations
from .coco_objects import TOLERANCE_PX, is_listed, read_object
from .labelled_photos import LabelledPhoto
from .photo_table import NO_MASK, POLYGONS, Columns

NO_PHOTO = -1


def place_objects(
    annotations: Annotations,
    images: Sequence[int],
    photos: Sequence[LabelledPhoto | None],
    names: Mapping[int, str],
    where: str,
    problems: dict[int, list[str]],
) -> tuple[np.ndarray, np.ndarray]:
    """The objects that can be used, in the order of their annotations.

    Args:
        annotations: Their labels become positions in `names`.
        images: Ids of the images.
        photos: Of the images; None for one that cannot be used, whose objects are left out.
        names: Of the categories by id.
        where: The file, for messages.
        problems: Gets what is wrong, by the place of the photo, or under NO_PHOTO.

    Returns:
        Rows of `annotations.columns`, and the places of their photos.
    """
    label_of = {category: label for label, category in enumerate(names)}
    place_of = {image: place for place, image in enumerate(images)}
    places = np.array([place_of.get(image, NO_PHOTO) for image in annotations.images], np.int64)
    rows, columns = np.arange(len(places)), annotations.columns
    sizes = np.array([(photo.width, photo.height) if photo else (-np.inf, -np.inf) for photo in photos])
    _set_labels(columns, label_of)
    is_fine = np.frombuffer(annotations.is_plain, bool) & (places != NO_PHOTO) & _fit(columns, sizes[places])
    for row in np.flatnonzero(~is_fine).tolist():
        entry = annotations.entry(row)
        image, said = entry.get("image_id"), f"Annotation {entry.get('id')!s:.40} of {where}"
        places[row] = NO_PHOTO
        if not is_listed(image, place_of):
            is_id = isinstance(image, int) and not isinstance(image, bool)
            reason = "which is not listed" if is_id else "which must be a whole number"
            problems.setdefault(NO_PHOTO, []).append(f"{said} is of image {image!r:.60}, {reason}.")
        elif photo := photos[place_of[image]]:
            try:
                thing = read_object(entry, photo, names, said)
            except DataError as error:
                problems.setdefault(place_of[image], []).append(str(error))
            else:
                rows[row], places[row] = len(columns.labels), place_of[image]
                columns.add_labelled(thing, label_of[entry["category_id"]])
    is_used = places != NO_PHOTO
    return rows[is_used], places[is_used]


def clip_boxes(columns: Columns, rows: np.ndarray, sizes: np.ndarray) -> None:
    """Boxes end where their photos do, of the given widths and heights."""
    boxes = np.frombuffer(columns.boxes).reshape(-1, 4)
    boxes[rows, :2] = np.maximum(boxes[rows, :2], 0.0)
    boxes[rows, 2:] = np.minimum(boxes[rows, 2:], sizes)


def drop_empty_masks(columns: Columns) -> None:
    """An object whose polygons were all left out has no mask."""
    kinds = np.frombuffer(columns.mask_kinds, np.uint8)
    is_empty = _counts(columns.polygon_ends) == 0
    kinds[is_empty & (kinds == POLYGONS)] = NO_MASK


def _set_labels(columns: Columns, label_of: Mapping[int, int]) -> None:
    np.frombuffer(columns.labels, np.int64)[:] = [label_of.get(category, -1) for category in columns.labels]


def _fit(columns: Columns, sizes: np.ndarray) -> np.ndarray:
    """Of each object: whether its category is known, and its box and polygons lie within a photo of its size."""
    boxes = np.frombuffer(columns.boxes).reshape(-1, 4)
    fit = (np.frombuffer(columns.labels, np.int64) >= 0) & _lie_within(boxes[:, :2], boxes[:, 2:], sizes)
    first, numbers = np.frombuffer(columns.number_ends, np.int64)[:-1] // 2, np.frombuffer(columns.numbers)
    if len(first):
        points = numbers.reshape(-1, 2)
        low, high = (extreme.reduceat(points, first, axis=0) for extreme in (np.minimum, np.maximum))
        thing = np.repeat(np.arange(len(fit)), _counts(columns.polygon_ends))
        fit[thing[~_lie_within(low, high, sizes[thing])]] = False
    return fit


def _lie_within(low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    is_within: np.ndarray = (low >= -TOLERANCE_PX) & (high <= sizes + TOLERANCE_PX)
    return np.logical_and(is_within[:, 0], is_within[:, 1])


def _counts(ends: array[int]) -> np.ndarray:
    every = np.frombuffer(ends, np.int64)
    return np.subtract(every[1:], every[:-1])
