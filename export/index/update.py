"""An index that follows its photos: add a folder, remove some, refresh all."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np

from ...hub.errors import DataError
from ...hub.files.locks import sole_writer
from ...hub.images import SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.folders import find_images
from .build import SKIPPED_FILE
from .change import Change, Entry, changing
from .embed_photos import Place, Work, embed_photos, entry_of
from .image_index import ImageIndex
from .item import Item, label_of
from .plan import File, Plan, make_plan
from .read_photos import Photo, read_photos

COMMIT_EVERY = 2048  # photos: the most that a command that is killed must embed again


@dataclass(frozen=True)
class Outcome:
    """How many photos are new, changed (a new vector under the old id), renamed in their folder, moved to another,
    removed from the index, or unchanged; and which could not be read. A photo that the index knows and that cannot be
    read any more stays as it was."""

    new: int
    changed: int
    renamed: int
    moved: int
    removed: int
    unchanged: int
    skipped: SkippedImages


def add(
    index: ImageIndex,
    encoder: PhotoEncoder,
    images: Path,
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: bool = False,
) -> Outcome:
    """Add the images of a folder, or one image; those already there stay as they are unless their file changed.

    An image that the index knows from a place where it is no more keeps its id.

    Raises:
        IndexMismatch: another encoder than the index's.
        DataError: the folder has no image.
        Busy: another process writes the index.
    """
    index.refuse_other(encoder.id)
    if not images.exists():
        raise DataError(f"{images} does not exist; give a folder of images or an image.")
    paths = find_images(images) if images.is_dir() else [images]
    work = Work(batch_size, workers, progress)
    return _follow(index, encoder, images, lambda roots: map(roots.place, paths), work, forgets=False)


def refresh(
    index: ImageIndex, encoder: PhotoEncoder, *, batch_size: int = 64, workers: int = 0, progress: bool = False
) -> Outcome:
    """Look at all folders that the index is of, and follow what was added, changed, renamed, moved and deleted there.

    Raises:
        IndexMismatch: another encoder than the index's.
        DataError: a folder with photos in the index is gone or empty, as one is that is not mounted.
        Busy: another process writes the index.
    """
    index.refuse_other(encoder.id)
    work = Work(batch_size, workers, progress)
    return _follow(index, encoder, None, lambda roots: _found(index, roots), work, forgets=True)


def remove(index: ImageIndex, names: Sequence[str]) -> list[Item]:
    """Remove images by id (all digits), or by path, as the index lists it or as it is on disk; of a folder all in it.

    Raises:
        DataError: one of them is not in the index; nothing is removed.
        Busy: another process writes the index.
    """
    with sole_writer(index.folder):
        index.reload()
        found: dict[int, Item] = {}
        for item in _named(index, names):
            found[item.id] = item
        with changing(index.folder) as change:
            change.remove(list(found))
    index.reload()
    return list(found.values())


class _Roots:
    """The folders of an index by their number; those that `images` would add have no number yet."""

    def __init__(self, index: ImageIndex, images: Path | None):
        self._state = index._state
        self.folders = self._state.table.roots()
        self.scanned = set(self._state.table.scanned_roots())
        self.added: Path | None = None  # the folder that is a root once this change is made
        self.is_folder = images is not None and images.is_dir()
        if images is not None:
            self._given = images if images.is_dir() else images.parent

    def place(self, path: Path) -> Place:
        """Relative to the deepest root that a path lies in, if only by a link; links keep their own names."""
        for number, root in sorted(self.folders.items(), key=lambda pair: -len(pair[1].parts)):
            folder = _below(path.parent.absolute(), root)
            if folder is not None:
                return Place(number, (folder / path.name).as_posix())
        self.added = self._given.resolve()
        number = max(self.folders) + 1
        return Place(number, path.relative_to(self._given).as_posix())

    def folder(self, number: int) -> Path:
        found = self.folders.get(number) or self.added
        assert found is not None, "a number is a root's or the added one's"
        return found

    def write(self, change: Change) -> None:
        """Make the added folder a root."""
        if self.added is not None:
            number = change.root(self.added, is_scanned=self.is_folder)
            assert number == max(self.folders) + 1, "nobody else writes"
        elif self.is_folder:
            whole = self._given.resolve()
            if whole in self.folders.values():
                change.root(whole)

    @property
    def adds(self) -> bool:
        return self.added is not None

    def inside(self, path: Path) -> Path | None:
        """A folder as photos below it are named; None for one that no root has to do with."""
        given = Path(os.path.normpath(path if path.is_absolute() else self.folders[1] / path))
        for one in (path.resolve(), given):
            if any(one.is_relative_to(root) or root.is_relative_to(one) for root in self.folders.values()):
                return one
        return None


def _follow(
    index: ImageIndex,
    encoder: PhotoEncoder,
    images: Path | None,
    find: Callable[[_Roots], Iterable[Place]],
    work: Work,
    *,
    forgets: bool,
) -> Outcome:
    """Compare the index with the places that `find` gives, and carry out what follows; `images` may add a root."""
    with sole_writer(index.folder):
        index.reload()
        roots = _Roots(index, images)
        files = {_full(roots, place): place for place in find(roots)}
        plan = make_plan(index.items, files, is_gone=lambda item: not item.full_path.is_file(), forgets=forgets)
        outcome = _carry_out(index, encoder, plan, work, roots)
    index.reload()
    return outcome


def _full(roots: _Roots, place: Place) -> Path:
    return Item(0, place.path, roots.folder(place.root)).full_path


@lru_cache(maxsize=1024)
def _below(folder: Path, root: Path) -> Path | None:
    """The folder from `root` on; None where no folder above it is the root."""
    above = next((one for one in (folder, *folder.parents) if one.resolve() == root), None)
    return None if above is None else folder.relative_to(above)


def _found(index: ImageIndex, roots: _Roots) -> Iterator[Place]:
    """The photos below all roots that were given whole, those of an inner root last, and the single ones."""
    for number, root in sorted(roots.folders.items(), key=lambda pair: len(pair[1].parts)):
        if number not in roots.scanned:
            continue
        photos = index._state.table.ask("SELECT count(*) FROM items WHERE root = ?", (number,))[0][0]
        try:
            paths = find_images(root)
        except DataError:
            if not photos:
                continue
            raise DataError(
                f"{root} holds no image, and the index has {photos} from there. Is the disk connected? Photos that are "
                f"elsewhere now are found by `goodviews index add {index.folder} --images FOLDER`; those that are gone "
                f"for good leave by `goodviews index remove {index.folder} {root}`."
            ) from None
        yield from (Place(number, path.relative_to(root).as_posix()) for path in paths)
    of_root = {root: number for number, root in roots.folders.items() if number not in roots.scanned}
    for item in index.items:
        if item.root in of_root and item.full_path.is_file():
            yield Place(of_root[item.root], item.path)


def _named(index: ImageIndex, names: Sequence[str]) -> Iterator[Item]:
    items = index.items
    by_id = {str(item.id): item for item in items}
    by_name = {index.name_of(item): item for item in items}
    by_path = {item.full_path: item for item in items}
    roots = _Roots(index, None)
    for name in names:
        path = Path(name)
        item = by_id.get(name) or by_name.get(name) or by_path.get(path.parent.resolve() / path.name)
        inside = roots.inside(path)
        below = [] if item is not None else [one for one in items if inside and one.full_path.is_relative_to(inside)]
        if item is None and not below:
            raise DataError(
                f"{index.folder} has no image {name}; nothing was removed. Give ids or paths as it lists them."
            )
        yield from below if item is None else [item]


def _carry_out(index: ImageIndex, encoder: PhotoEncoder, plan: Plan, work: Work, roots: _Roots) -> Outcome:
    skipped = plan.unreadable
    if not plan.is_empty or roots.adds:
        with changing(index.folder) as change:
            roots.write(change)
            change.remove([item.id for item in plan.gone])
            change.place({item.id: _moved(item, file) for item, file in (*plan.went, *plan.touched)})
            _take_copies(change, plan.copies)
            change.drop_roots([key for key, root in change.table.roots().items() if not root.is_dir()])
        _complete(index.folder, encoder, [pair for pair in plan.touched if pair[0].sha256 is None], work)
    wanted: list[tuple[int | None, File]] = [(item.id, file) for item, file in plan.changed]
    wanted += [(None, file) for file in plan.new]
    done: set[int] = set()
    for first in range(0, len(wanted), COMMIT_EVERY):
        done |= _embed(index.folder, encoder, wanted[first : first + COMMIT_EVERY], work, skipped)
    if skipped:
        skipped.write(index.folder / SKIPPED_FILE)
    renamed = sum(item.full_path.parent == file.path.parent for item, file in plan.went)
    changed = sum(item.id in done for item, _ in plan.changed)
    return Outcome(
        new=len(plan.copies) + len(done) - changed,
        changed=changed,
        renamed=renamed,
        moved=len(plan.went) - renamed,
        removed=len(plan.gone),
        unchanged=plan.unchanged + len(plan.touched),
        skipped=skipped,
    )


def _moved(item: Item, file: File) -> Entry:
    content = file.content
    return Entry(
        file.place.root,
        file.place.path,
        content.sha256,
        content.size,
        item.date,
        label_of(file.place.path),
        content.modified_ns,
    )


def _take_copies(change: Change, copies: Sequence[tuple[Item, File]]) -> None:
    if not copies:
        return
    vectors = change.vectors_of([item.id for item, _ in copies])
    ids = change.insert([_moved(item, file) for item, file in copies], vectors)
    pairs = [(key, item.id) for key, (item, _) in zip(ids, copies)]
    change.table.change("INSERT INTO thumbnails SELECT ?, jpeg FROM thumbnails WHERE id = ?", pairs)


def _complete(folder: Path, encoder: PhotoEncoder, touched: Sequence[tuple[Item, File]], work: Work) -> None:
    """Dates and thumbnails of photos that an earlier goodviews took in."""
    if not touched:
        return
    paths = [file.path for _, file in touched]
    with changing(folder) as change:
        for photo in read_photos(paths, values=encoder.preprocessing.values, workers=work.workers):
            if isinstance(photo, Photo):
                item, file = touched[photo.position]
                change.place({item.id: entry_of(photo, file.place)})


def _embed(
    folder: Path, encoder: PhotoEncoder, wanted: Sequence[tuple[int | None, File]], work: Work, skipped: SkippedImages
) -> set[int]:
    """Embed some photos, those without an id under a new one; returns the ids of those that could be read."""
    done: set[int] = set()
    files = [file for _, file in wanted]
    with changing(folder) as change:

        def take(positions: list[int], entries: list[Entry], vectors: np.ndarray) -> None:
            free = count(change.next_id)
            known = [wanted[position][0] for position in positions]
            ids = [next(free) if key is None else key for key in known]
            change.insert_as(ids, entries, vectors)
            done.update(ids)

        embed_photos(encoder, [file.path for file in files], [file.place for file in files], work, skipped, take)
    return done
