"""Frozen features of a labelled image folder: computed once, for every task that fine-tunes nothing below them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...hub.errors import DataError
from ...hub.files.atomic import write_bytes
from ...hub.images import SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.files import Files, published_name
from ...hub.sources.folders import train_and_test
from ..copies import note_copies
from ..data_digest import digest_of
from ..task import Setup
from .encode_photos import Encode, encode_photos

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
    """The images that are scored, and what a report holds of the whole folder."""

    test: Features
    classes: tuple[str, ...]
    dataset: dict[str, Any]
    skipped: SkippedImages  # paths relative to the data folder
    copies: dict[str, int] = field(default_factory=dict, kw_only=True)  # for Report.details, see `note_copies`


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
    copies = note_copies(train.all_paths(), test.all_paths())
    return FrozenData(parts[1], train.classes, dataset, skipped, train=parts[0], copies=copies)


def as_exported(encoder: PhotoEncoder) -> dict[str, bool]:
    """The settings that a protocol for raw features gets when the encoder gives unit vectors only."""
    return {"unit_length_features": True} if encoder.is_exported else {}


def write_skipped(data: TestData, folder: Path) -> None:
    """Writes skipped.txt: the images that could not be read, if there are any."""
    if data.skipped:
        data.skipped.write(folder / "skipped.txt")


def describe(data: Path, train: Files, test: Files, skipped: SkippedImages) -> dict[str, Any]:
    """Report.dataset of the two parts of an image folder; `skipped` has paths relative to `data`."""
    if skipped:
        log.warning("%s", skipped.summary())
    roots = [Path(path).parts[0] for path, _ in skipped]
    return {
        "name": published_name(data),
        "digest": digest_of(data, [*train.all_paths(), *test.all_paths()]),
        "classes": len(train.classes),
        "train_images": len(train) - roots.count(train.root.name),
        "test_images": len(test) - roots.count(test.root.name),
        "test_part": test.root.name,
        "skipped_images": len(skipped),
    }


def part_features(
    encoder: PhotoEncoder,
    part: Files,
    data: Path,
    setup: Setup,
    skipped: SkippedImages,
    encode: Encode = encode_photos,
) -> Features:
    """One part as features; what cannot be read is added to `skipped`, by its path in `data`.

    Raises:
        DataError: no image of the part can be read.
    """
    unreadable = SkippedImages()
    vectors = torch.from_numpy(_cached_vectors(encoder, part.root.name, part.all_paths(), setup, unreadable, encode))
    add_relative(skipped, unreadable, data)
    rows = sorted(set(range(len(part))) - set(unreadable.positions))
    if not rows:
        raise DataError(f"{part.root} has {len(part)} images and none can be read; the first: {unreadable.items[0][1]}")
    assert part.labels is not None, "train_and_test returns labelled folders"
    labels, paths = torch.tensor(part.labels)[rows], tuple(str(part.path(i).relative_to(data)) for i in rows)
    return Features(vectors.to(encoder.device), labels.to(encoder.device), paths)


def add_relative(skipped: SkippedImages, more: SkippedImages, data: Path) -> None:
    """Adds images that could not be read, by their paths in `data`."""
    for (path, reason), position in zip(more.items, more.positions):
        skipped.add(Path(path).relative_to(data), reason, position)


def photo_features(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup) -> Tensor:
    """(N, F) pooled features of photos that must all be readable, on the encoder's device.

    Raises:
        DataError: a photo is damaged.
    """
    unreadable = SkippedImages()
    vectors = _cached_vectors(encoder, paths[0].parent.name, paths, setup, unreadable)
    if unreadable:
        raise DataError(unreadable.items[0][1])
    return torch.from_numpy(vectors).to(encoder.device)


def _cached_vectors(
    encoder: PhotoEncoder,
    part: str,
    paths: Sequence[Path],
    setup: Setup,
    unreadable: SkippedImages,
    encode: Encode = encode_photos,
) -> np.ndarray:
    """The features, read from `setup.cache` if those of these weights and files are there."""
    if setup.cache is None:
        return encode(encoder, paths, setup, unreadable)
    file = setup.cache / f"{part}-{_key(encoder, paths, setup)}.npz"
    if not file.is_file():
        vectors = encode(encoder, paths, setup, unreadable)
        file_content = io.BytesIO()
        np.savez(file_content, vectors=vectors, unread=json.dumps([unreadable.items, unreadable.positions]))
        write_bytes(file, file_content.getvalue())
        return vectors
    with np.load(file, allow_pickle=False) as content:
        items, positions = json.loads(str(content["unread"]))
        unreadable.items.extend((path, reason) for path, reason in items)
        unreadable.positions.extend(positions)
        return content["vectors"]


def _key(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup) -> str:
    """A digest of what decides the features: weights, preprocessing, precision, files by place, size and age."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    precision = [] if setup.precision == "fp32" else [setup.precision]
    work = json.dumps([encoder.report_id().weights_sha256, asdict(encoder.preprocessing), files, *precision])
    return hashlib.sha256(work.encode()).hexdigest()[:16]
