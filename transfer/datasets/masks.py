"""Masks: polygons and run lengths become pixels and back, rasterised by COCO's own rules."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...hub.errors import MissingExtra
from .labelled_photos import Mask, Rle

try:
    from faster_coco_eval.core import mask as coco_masks
except ImportError:
    raise MissingExtra("faster-coco-eval", extra="detection", needed_for="Reading masks") from None


def decode(mask: Mask, height: int, width: int) -> np.ndarray:
    """The pixels of a mask: (height, width) uint8, 0 or 1."""
    return coco_masks.decode(as_rle(mask, height, width).as_coco())


def encode(pixels: np.ndarray) -> Rle:
    """The run lengths of a (H, W) mask, bool or 0 and 1."""
    return _as_rle(coco_masks.encode(np.asfortranarray(pixels, dtype=np.uint8)))


def as_rle(mask: Mask, height: int, width: int) -> Rle:
    """The run lengths of a mask; several polygons are its parts."""
    if isinstance(mask, Rle):
        return mask
    parts = coco_masks.frPyObjects([list(polygon) for polygon in mask], height, width)
    return _as_rle(coco_masks.merge(parts))


def compress(counts: Sequence[int], height: int, width: int) -> Rle:
    """The mask of a list of run lengths, as in COCO's files for crowds."""
    return _as_rle(coco_masks.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width))


def run_lengths(counts: str) -> list[int]:
    """The run lengths in compressed text. Text that holds none gives a wrong sum or numbers below 0."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        chunk = ord(character) - 48
        value |= (chunk & 0x1F) << shift
        shift += 5
        if not chunk & 0x20:  # the last of this number
            if chunk & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)  # from the fourth on they are differences
            value = shift = 0
    return runs


def areas(masks: Sequence[Rle]) -> list[int]:
    """The pixels of each mask, counted."""
    return [int(area) for area in np.atleast_1d(coco_masks.area([mask.as_coco() for mask in masks]))] if masks else []


def _as_rle(entry: dict[str, Any]) -> Rle:
    counts = entry["counts"]
    height, width = entry["size"]
    return Rle((int(height), int(width)), counts.decode("ascii") if isinstance(counts, bytes) else counts)
