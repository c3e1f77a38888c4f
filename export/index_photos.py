"""Photos in and out of an index: build it from a folder, add, remove, look one up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..hub.atomic import refuse_existing
from ..hub.errors import DataError
from ..hub.images import SkippedImages, find_images
from .backends import EncodesPhotos
from .index import ImageIndex, Match, empty
from .index_files import About, Item
from .prepare import ImageLike

SKIPPED_FILE = "skipped.txt"


@dataclass(frozen=True)
class Added:
    """What happened to the images of a folder; `changed` ones kept their id and got a new vector."""

    new: int
    changed: int
    unchanged: int
    skipped: SkippedImages


def build(
    encoder: EncodesPhotos,
    images: Path,
    out: Path,
    *,
    batch_size: int = 64,
    progress: bool = False,
    overwrite: bool = False,
) -> tuple[ImageIndex, SkippedImages]:
    """Embed every readable image below a folder and write the index.

    Images that cannot be read are left out, returned, and listed in OUT/skipped.txt.

    Raises:
        DataError: the folder has no readable image.
        OutputExists: `out` exists and `overwrite` is off.
    """
    refuse_existing(out, overwrite)
    paths = find_images(images)
    index = empty(About(encoder.identity, encoder.source, encoder.backend, images.resolve()))
    items = [_item(position, path, index) for position, path in enumerate(paths)]
    readable, vectors, skipped = _encode(encoder, paths, items, batch_size, progress)
    if not readable:
        raise DataError(f"None of the {len(paths)} images in {images} can be read; the first: {skipped.items[0][1]}")
    index.insert(readable, vectors, encoder=encoder.identity)
    index.save(out, overwrite=overwrite)
    if skipped:
        skipped.write(out / SKIPPED_FILE)
    return index, skipped


def add(
    index: ImageIndex, encoder: EncodesPhotos, images: Path, *, batch_size: int = 64, progress: bool = False
) -> Added:
    """Put the images of a folder (or one image) in; those already there are left alone unless their file changed.

    Raises:
        IndexMismatch: another encoder than the index's.
        DataError: the folder has no image.
    """
    index.refuse_other(encoder.identity)
    paths = find_images(images) if images.is_dir() else [images]
    known = {item.path: item for item in index.items}
    wanted: list[tuple[Path, Item]] = []
    next_id = index.next_id
    for path in paths:
        _must_exist(path)
        item = _item(next_id, path, index)
        old = known.get(item.path)
        if old is None:
            next_id += 1
        elif old.metadata == item.metadata:
            continue
        wanted.append((path, item if old is None else Item(old.id, item.path, item.metadata)))
    items = [item for _, item in wanted]
    done, vectors, skipped = _encode(encoder, [path for path, _ in wanted], items, batch_size, progress)
    if done:
        index.insert(done, vectors, encoder=encoder.identity)
        index.write()
    if skipped:
        skipped.write(index.folder / SKIPPED_FILE)
    changed = sum(item.path in known for item in done)
    return Added(len(done) - changed, changed, len(paths) - len(wanted), skipped)


def remove(index: ImageIndex, names: Sequence[str]) -> list[Item]:
    """Take images out by id (all digits) or by path, as listed or as it lies on disk.

    Raises:
        DataError: one of them is not in the index; nothing is removed.
    """
    by_path = {item.path: item for item in index.items}
    by_id = {str(item.id): item for item in index.items}
    found = []
    for name in names:
        item = by_id.get(name) or by_path.get(name) or by_path.get(_relative(Path(name), index.about.root))
        if item is None:
            raise DataError(
                f"{index.folder} has no image {name}; nothing was removed. Give ids or paths as it lists them."
            )
        found.append(item)
    index.remove([item.id for item in found])
    return found


def search(index: ImageIndex, encoder: EncodesPhotos, image: ImageLike, k: int) -> list[Match]:
    """The k images most like one photo, the most similar first.

    Raises:
        DataError: the photo cannot be read.
        IndexMismatch: another encoder than the index's.
        UsageError: k is below 1 or above the number of images.
    """
    index.refuse_unmet(k, encoder.identity)
    return index.search(encoder.encode([image]), k, encoder=encoder.identity)[0]


def _encode(
    encoder: EncodesPhotos, paths: Sequence[Path], items: Sequence[Item], batch_size: int, progress: bool
) -> tuple[list[Item], np.ndarray, SkippedImages]:
    skipped = SkippedImages()
    vectors = encoder.encode(paths, batch_size=batch_size, progress=progress, skipped=skipped)
    left_out = set(skipped.positions)
    return [item for position, item in enumerate(items) if position not in left_out], vectors, skipped


def _item(key: int, path: Path, index: ImageIndex) -> Item:
    status = path.stat()
    metadata = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    return Item(key, _relative(path, index.about.root), metadata)


def _relative(path: Path, root: Path) -> str:
    path = path.parent.resolve() / path.name  # a link to a file stays itself, so that its name is the one people see
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of images or an image.")
