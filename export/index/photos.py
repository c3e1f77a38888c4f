"""Photos in and out of an index: build it from a folder, add, remove, look one up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

from ...hub.errors import DataError
from ...hub.files.locks import refuse_busy, sole_writer
from ...hub.files.overwrite import Input, refuse_folder
from ...hub.identity import EncoderId
from ...hub.images import ImageLike, SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.folders import find_images
from .files import About, Item
from .image_index import ImageIndex, Match, empty

SKIPPED_FILE = "skipped.txt"


@dataclass(frozen=True)
class AddResult:
    """How many images of a folder are new, changed (a new vector under the old id) or unchanged."""

    new: int
    changed: int
    unchanged: int
    skipped: SkippedImages


def build(
    encoder: PhotoEncoder,
    images: Path,
    out: Path,
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: bool = False,
    overwrite: bool = False,
) -> tuple[ImageIndex, SkippedImages]:
    """Embed every readable image below a folder and write the index.

    Images that cannot be read are left out, returned, and listed in OUT/skipped.txt.

    Raises:
        DataError: the folder has no readable image.
        OutputExists: `out` exists and `overwrite` is off.
        Busy: another process writes it.
    """
    refuse_busy(out)
    refuse_folder(out, overwrite, kind="index", inputs=(images, encoder.source))
    paths = find_images(images)
    with sole_writer(out):
        index = empty(About(encoder.id, encoder.source, encoder.backend, images.resolve()))
        skipped = _embed(index, encoder, index.about.encoder, paths, batch_size, workers, progress)
        _save(index, skipped, out, overwrite=overwrite, inputs=(images, encoder.source))
        return index, skipped


def _save(index: ImageIndex, skipped: SkippedImages, out: Path, *, overwrite: bool, inputs: Sequence[Input]) -> None:
    if not len(index):
        images, problem = index.about.root, skipped.items[0][1]
        raise DataError(f"None of the {len(skipped)} images in {images} can be read; the first: {problem}")
    index.save(out, overwrite=overwrite, inputs=inputs)
    if skipped:
        skipped.write(out / SKIPPED_FILE)


def add(
    index: ImageIndex,
    encoder: PhotoEncoder,
    images: Path,
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: bool = False,
) -> AddResult:
    """Add the images of a folder, or one image; those already there stay as they are unless their file changed.

    Raises:
        IndexMismatch: another encoder than the index's.
        DataError: the folder has no image.
    """
    identity = encoder.id
    index.refuse_other(identity)
    if not images.exists():
        raise DataError(f"{images} does not exist; give a folder of images or an image.")
    paths = find_images(images) if images.is_dir() else [images]
    known = {item.path: item.metadata for item in index.items}
    wanted = [path for path in paths if known.get(_name(path, index)) != _metadata(path)]
    before = len(index)
    skipped = _embed(index, encoder, identity, wanted, batch_size, workers, progress)
    is_new_place = index.trust((images if images.is_dir() else images.parent).resolve())
    if is_new_place or len(wanted) > len(skipped):
        index.write()
    if skipped:
        skipped.write(index.folder / SKIPPED_FILE)
    new = len(index) - before
    return AddResult(new, len(wanted) - len(skipped) - new, len(paths) - len(wanted), skipped)


def remove(index: ImageIndex, names: Sequence[str]) -> list[Item]:
    """Remove images by id (all digits) or by path, as the index lists it or as it is on disk.

    Raises:
        DataError: one of them is not in the index; nothing is removed.
    """
    by_path = {item.path: item for item in index.items}
    by_id = {str(item.id): item for item in index.items}
    found = []
    for name in names:
        item = by_id.get(name) or by_path.get(name) or by_path.get(_name(Path(name), index))
        if item is None:
            raise DataError(
                f"{index.folder} has no image {name}; nothing was removed. Give ids or paths as it lists them."
            )
        found.append(item)
    index.remove([item.id for item in found])
    return found


def search(index: ImageIndex, encoder: PhotoEncoder, image: ImageLike, k: int) -> list[Match]:
    """The k images most like one photo, the most similar first; all of an index with fewer.

    Raises:
        DataError: the photo cannot be read.
        IndexMismatch: another encoder than the index's.
        UsageError: k is below 1, or the index is empty.
    """
    index.refuse_k(k)
    return index.search(encoder.encode([image]), k, encoder=encoder.id)[0]


def _embed(
    index: ImageIndex,
    encoder: PhotoEncoder,
    identity: EncoderId,
    paths: Sequence[Path],
    batch_size: int,
    workers: int,
    progress: bool,
) -> SkippedImages:
    """Insert the photos that can be read: under their old id where the index knows the path, else under a new one."""
    skipped = SkippedImages()
    vectors = encoder.encode(paths, batch_size=batch_size, workers=workers, progress=progress, skipped=skipped)
    left_out = set(skipped.positions)
    old = {item.path: item.id for item in index.items}
    free = count(index.next_id)
    items = []
    for path in (path for position, path in enumerate(paths) if position not in left_out):
        name = _name(path, index)
        items.append(Item(old[name] if name in old else next(free), name, _metadata(path)))
    if items:
        index.insert(items, vectors, encoder=identity)
    return skipped


def _name(path: Path, index: ImageIndex) -> str:
    """Path in the index: relative to its root where it lies inside, if only by a link. Links keep their own names."""
    folder = _below(path.parent.absolute(), index.about.root) or path.parent.resolve()
    return (folder / path.name).as_posix()


@lru_cache(maxsize=1024)
def _below(folder: Path, root: Path) -> Path | None:
    """The folder from `root` on; None where no folder above it is the root."""
    above = next((one for one in (folder, *folder.parents) if one.resolve() == root), None)
    return None if above is None else folder.relative_to(above)


def _metadata(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
