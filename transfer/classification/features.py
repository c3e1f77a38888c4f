"""Frozen features of a labelled image folder: computed once, for every task that fine-tunes nothing below them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...hub.atomic import write_bytes
from ...hub.errors import DataError
from ...hub.images import SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.files import Files
from ...hub.sources.folders import train_and_test
from ..data_digest import digest_of
from ..task import Setup

BATCH_SIZE = 64
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """One part of the data as the encoder sees it, on its device; row i of each field belongs to one image."""

    vectors: Tensor  # (N, F) float32, pooled, not normalised
    labels: Tensor  # (N,) int64, positions in the classes
    paths: tuple[str, ...]  # relative to the data folder

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TestData:
    """The images that are scored, and what to say of the whole folder in a report."""

    test: Features
    classes: tuple[str, ...]
    dataset: dict[str, Any]
    skipped: SkippedImages  # paths relative to the data folder


@dataclass(frozen=True)
class FrozenData(TestData):
    """Both parts of an image folder as features."""

    train: Features


def frozen_features(encoder: PhotoEncoder, data: Path, setup: Setup) -> FrozenData:
    """DIR/train/<class>/* and DIR/{val,test}/<class>/* through the encoder, without augmentation.

    Raises:
        DataError: the folder has another layout, a class of val is missing in train, or a part has no readable image.
    """
    train, test = train_and_test(data)
    skipped = SkippedImages()
    parts = [part_features(encoder, part, data, setup, skipped) for part in (train, test)]
    dataset = describe(data, train, test, skipped)
    return FrozenData(parts[1], train.classes, dataset, skipped, train=parts[0])


def as_exported(encoder: PhotoEncoder) -> dict[str, bool]:
    """What changes in a protocol for raw features when the encoder gives unit vectors only."""
    return {"unit_length_features": True} if encoder.is_exported else {}


def write_skipped(data: TestData, folder: Path) -> None:
    """skipped.txt: the images that could not be read, if there are any."""
    if data.skipped:
        data.skipped.write(folder / "skipped.txt")


def describe(data: Path, train: Files, test: Files, skipped: SkippedImages) -> dict[str, Any]:
    """What a report says of the two parts of an image folder; `skipped` has paths relative to `data`."""
    if skipped:
        log.warning("%s", skipped.summary())
    unread = [Path(path) for path, _ in skipped]
    lost = {part.root.name: sum(path.parts[0] == part.root.name for path in unread) for part in (train, test)}
    return {
        "name": data.resolve().name,
        "digest": digest_of(data, [*train.paths, *test.paths]),
        "classes": len(train.classes),
        "train_images": len(train) - lost[train.root.name],
        "test_images": len(test) - lost[test.root.name],
        "test_part": test.root.name,
        "skipped_images": len(skipped),
    }


def part_features(encoder: PhotoEncoder, part: Files, data: Path, setup: Setup, skipped: SkippedImages) -> Features:
    """One part as features; what cannot be read is added to `skipped`, by its path in `data`.

    Raises:
        DataError: no image of the part can be read.
    """
    unread = SkippedImages()
    paths = part.paths
    vectors = _cached_vectors(encoder, part.root.name, paths, setup, unread)
    for (path, reason), position in zip(unread.items, unread.positions):
        skipped.add(Path(path).relative_to(data), reason, position)
    kept = sorted(set(range(len(part))) - set(unread.positions))
    if not kept:
        raise DataError(f"{part.root} has {len(part)} images and none can be read; the first: {unread.items[0][1]}")
    assert part.labels is not None, "train_and_test returns labelled folders"
    device = encoder.device
    labels = torch.tensor(part.labels)[kept].to(device)
    return Features(torch.from_numpy(vectors).to(device), labels, tuple(str(paths[i].relative_to(data)) for i in kept))


def photo_features(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup) -> Tensor:
    """(N, F) pooled features of photos that must all be readable, on the encoder's device.

    Raises:
        DataError: a photo is damaged.
    """
    unread = SkippedImages()
    vectors = _cached_vectors(encoder, paths[0].parent.name, paths, setup, unread)
    if unread:
        raise DataError(unread.items[0][1])
    return torch.from_numpy(vectors).to(encoder.device)


def _cached_vectors(
    encoder: PhotoEncoder, part: str, paths: Sequence[Path], setup: Setup, unread: SkippedImages
) -> np.ndarray:
    """The features, from `setup.cache` if these weights have seen these files there before."""
    if setup.cache is None:
        return _encode(encoder, paths, setup, unread)
    file = setup.cache / f"{part}-{_key(encoder, paths)}.npz"
    if not file.is_file():
        vectors = _encode(encoder, paths, setup, unread)
        content = io.BytesIO()
        np.savez(content, vectors=vectors, unread=json.dumps([unread.items, unread.positions]))
        write_bytes(file, content.getvalue())
        return vectors
    with np.load(file, allow_pickle=False) as held:
        items, positions = json.loads(str(held["unread"]))
        unread.items.extend((path, reason) for path, reason in items)
        unread.positions.extend(positions)
        return held["vectors"]


def _encode(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup, unread: SkippedImages) -> np.ndarray:
    return encoder.encode(
        paths,
        batch_size=setup.batch_size or BATCH_SIZE,
        workers=setup.workers,
        normalise=encoder.is_exported,
        progress=setup.progress,
        skipped=unread,
    )


def _key(encoder: PhotoEncoder, paths: Sequence[Path]) -> str:
    """Names what decides the features: the weights, the preprocessing and the files, by place, size and age."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    said = json.dumps([encoder.report_id().weights_sha256, asdict(encoder.preprocessing), files])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
