"""Reads one entry of "annotations" in a COCO file: box, mask, category, each checked against its photo. Torch-free."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, TypeGuard

from ...hub.errors import DataError
from .labelled_photos import Box, LabelledObject, LabelledPhoto, Mask, Rle

LARGEST_NUMBER = 1e15  # more than any area
TOLERANCE_PX = 2.0  # how far boxes and masks may leave their photo: published labels are rounded


def read_object(entry: dict[str, Any], photo: LabelledPhoto, names: Mapping[int, str], where: str) -> LabelledObject:
    """The object that an entry of "annotations" describes.

    Args:
        entry: As in the file.
        photo: The one it is in.
        names: Of the categories by id.
        where: The entry in words, for messages.

    Raises:
        DataError: it has no known category, or a box or mask that does not lie within the photo.
        MissingExtra: its mask is in run lengths and faster-coco-eval is not installed.
    """
    category = entry.get("category_id")
    if not is_listed(category, names):
        reason = "not listed" if isinstance(category, int) and not isinstance(category, bool) else "no whole number"
        known = ", ".join(f"{number} {name}" for number, name in list(names.items())[:20])
        raise DataError(f"{where} is of category {category!r:.60}, which is {reason} (there are: {known}).")
    name = names[category]
    x, y, width, height = _numbers(entry.get("bbox"), f"{where} has the bbox {entry.get('bbox')!r:.80}", count=4)
    box = (x, y, x + width, y + height)
    if width < 0 or height < 0 or not _fits(box, photo):
        raise DataError(
            f"{where} has a {name!r} box ({x:g}, {y:g}, {width:g}, {height:g}) that does not lie within its photo of "
            f"{photo.width} x {photo.height}; a bbox is left, top, width, height in pixels."
        )
    area = entry.get("area")
    return LabelledObject(
        name,
        box,
        is_crowd=entry.get("iscrowd") == 1,
        area=None if area is None else _number(area, f"{where} has the area {area!r:.60}"),
        mask=_read_mask(entry.get("segmentation"), photo, where),
    )


def short_polygons(entry: dict[str, Any]) -> int:
    """How many polygons of an entry of "annotations" have fewer than three corners and are left out."""
    polygons = entry.get("segmentation")
    return sum(not _has_corners(polygon) for polygon in polygons) if isinstance(polygons, list) else 0


def is_listed(value: Any, ids: Container[int]) -> TypeGuard[int]:
    """Whether a value, which may be anything that JSON has, is one of `ids`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value in ids


def integer(entry: dict[str, Any], key: str, where: str) -> int:
    """The whole number under a key; DataError where it is none."""
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where} has {value!r:.60} as its {key}, which must be a whole number.")
    return value


def _read_mask(segmentation: Any, photo: LabelledPhoto, where: str) -> Mask | None:
    """The mask, or None without one. Polygons without three corners are left out, as in detectron2."""
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return _read_runs(segmentation, photo, where)
    if not isinstance(segmentation, list):
        raise DataError(f"{where} has a segmentation that is neither polygons nor run lengths.")
    polygons = tuple(_numbers(polygon, f"{where} has something else as a polygon") for polygon in segmentation)
    outlines = tuple(filter(_has_corners, polygons))
    for polygon in outlines:
        xs, ys = polygon[::2], polygon[1::2]
        if not _fits((min(xs), min(ys), max(xs), max(ys)), photo):
            raise DataError(f"{where} has a mask that does not lie within its photo of {photo.width} x {photo.height}.")
    return outlines


def _has_corners(polygon: Any) -> bool:
    """Three or more, each by x and y."""
    return isinstance(polygon, Sequence) and len(polygon) >= 6 and len(polygon) % 2 == 0


def _read_runs(segmentation: dict[str, Any], photo: LabelledPhoto, where: str) -> Rle:
    """Run lengths as a list, as COCO's files have them for crowds, or as compressed text."""
    from .masks import compress, run_lengths

    size = (photo.height, photo.width)
    counts = segmentation.get("counts")
    if segmentation.get("size") != list(size):
        raise DataError(
            f"{where} has a mask of height and width {segmentation.get('size')!r:.60}; its photo has {list(size)}."
        )
    runs = run_lengths(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        raise DataError(f"{where} has a mask whose counts are no run lengths.")
    if sum(runs) != photo.height * photo.width:
        raise DataError(f"{where} has a mask of {sum(runs)} pixels; its photo has {photo.height * photo.width}.")
    return Rle(size, counts) if isinstance(counts, str) else compress(runs, *size)


def _fits(box: Box, photo: LabelledPhoto) -> bool:
    xmin, ymin, xmax, ymax = box
    is_after = min(xmin, ymin) >= -TOLERANCE_PX
    return is_after and xmax <= photo.width + TOLERANCE_PX and ymax <= photo.height + TOLERANCE_PX


def _number(value: Any, what: str) -> float:
    if not _is_number(value):
        raise DataError(f"{what}; it must be a number.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _numbers(values: Any, what: str, *, count: int | None = None) -> tuple[float, ...]:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or not all(map(_is_number, values)):
        raise DataError(f"{what}; it must be a list of numbers.")
    if count is not None and len(values) != count:
        raise DataError(f"{what}; it must have {count} numbers.")
    return tuple(map(float, values))
