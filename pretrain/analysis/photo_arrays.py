"""Photos as one array in memory, small and square: a sweep trains on them dozens of times."""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ...hub.errors import DataError
from ...hub.scoring.linear import held_out_rows
from ...hub.sources.open import open_data
from ...hub.sources.source import Source, read_photo

log = logging.getLogger(__name__)

FEWEST = 40  # photos: with fewer neither learning nor holding out says anything
_HELD_OUT, _LOOKED_AT = 0.25, 9


@dataclass(frozen=True)
class PhotoSet:
    """Photos (N, 3, S, S), RGB, uint8, and what is known of them by name, each (N,), int64: class, digit, ..."""

    images: Tensor
    labels: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def part(self, rows: Tensor) -> "PhotoSet":
        """Some of the photos, in the order of `rows`."""
        return PhotoSet(self.images[rows], {name: labels[rows] for name, labels in self.labels.items()})


@dataclass(frozen=True)
class SplitPhotos:
    """What networks learn from and what they are scored on; `about` is for reports, `classes` of each label."""

    train: PhotoSet
    test: PhotoSet
    classes: Mapping[str, int]
    about: Mapping[str, object]


def read_photos(
    data: str, *, px: int, least_px: int, most: int, seed: int = 0, needs_labels: bool = True
) -> SplitPhotos:
    """Squares of at most `most` photos, drawn by the seed; of data without a test part a quarter is held out.

    Args:
        px: side of the squares; that of the photos, where most of them are smaller, but never below `least_px`.

    Raises:
        DataError: no photos, too few, or labels are needed and missing or of one class only.
    """
    opened = open_data(data)
    _refuse_unlabelled(opened.train, data, needs_labels)
    px = max(least_px, min(px, _usual_side(opened.train)))
    train = _read(opened.train, px, most, seed)
    if opened.test is not None:
        test = _read(opened.test, px, most, seed)
    else:
        labels = train.labels.get("class", torch.zeros(len(train), dtype=torch.int64))
        out = held_out_rows(labels, _HELD_OUT, seed)
        train, test = train.part((~out).nonzero()[:, 0]), train.part(out.nonzero()[:, 0])
    if len(train) < FEWEST or len(test) < FEWEST // 4:
        raise DataError(
            f"{data} has {len(train)} photos to learn from and {len(test)} to test on; at least {FEWEST} and "
            f"{FEWEST // 4} are needed. Give more photos."
        )
    classes = len(opened.train.classes)
    names = {"class": classes} if "class" in train.labels and classes > 1 else {}  # of one class there is no score
    about = {
        "name": Path(data).resolve().name if Path(data).exists() else opened.train.name,
        "train": len(train),
        "test": len(test),
        "px": px,
        "digest": _digest(train, test),
    }
    return SplitPhotos(train, test, names, about)


def _refuse_unlabelled(source: Source, data: str, needs_labels: bool) -> None:
    if not needs_labels:
        return
    if source.labels is None:
        raise DataError(
            f"{data} has no labels, and encoders are scored by them here; give a folder with one folder a class."
        )
    if len(source.classes) < 2:
        raise DataError(f"{data} has one class, {source.classes[0]}; scores need two or more. Give one folder a class.")


def _usual_side(source: Source) -> int:
    """The median shorter side of some photos, in pixels; of photos that cannot be read another reader will tell."""
    sides = []
    for row in np.linspace(0, len(source) - 1, num=min(_LOOKED_AT, len(source)), dtype=int).tolist():
        with suppress(DataError):
            sides.append(min(read_photo(source, row).size))
    return int(np.median(sides)) if sides else 1


def _read(source: Source, px: int, most: int, seed: int) -> PhotoSet:
    """The photos that can be read; the log says how many could not."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(source))[:most])
    images, read, reason = [], [], ""
    for row in rows.tolist():
        try:
            photo = read_photo(source, row)
        except DataError as error:
            reason = str(error)
            continue
        images.append(square(photo, px))
        read.append(row)
    if len(read) < len(rows):
        log.warning("%d of %d photos could not be read: %s", len(rows) - len(read), len(rows), reason)
    if not images:
        raise DataError(f"No photo of {source.name} can be read: {reason}")
    labels = {} if source.labels is None else {"class": torch.from_numpy(np.asarray(source.labels)[read].copy())}
    return PhotoSet(torch.stack(images), labels)


def square(photo: Image.Image, px: int) -> Tensor:
    """The middle square of a photo at a side of `px`: (3, px, px), RGB, uint8."""
    fitted = ImageOps.fit(photo, (px, px), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).contiguous()


def _digest(*parts: PhotoSet) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.images.numpy().tobytes())
    return digest.hexdigest()[:16]
