"""A new index: of a folder of photos, or of a file of vectors that `goodviews embed` wrote."""

from collections import Counter
from pathlib import Path

from ...hub.errors import DataError
from ...hub.files.atomic import new_folder
from ...hub.files.locks import refuse_busy
from ...hub.files.overwrite import refuse_folder
from ...hub.images import SkippedImages
from ...hub.output.printing import shown
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.folders import find_images
from ..embedding.vector_files import Vectors, read_vectors
from ..nearest.kinds import FLAT, check_kind
from ..nearest.segments import in_blocks
from .about import About
from .change import Change, Entry, filling
from .embed_photos import Place, Work, embed_photos
from .image_index import ImageIndex, IndexMismatch, load
from .item import label_of
from .table import NamedTwice

SKIPPED_FILE = "skipped.txt"


def build(
    encoder: PhotoEncoder,
    images: Path,
    out: Path,
    *,
    batch_size: int = 64,
    workers: int = 0,
    progress: bool = False,
    kind: str | None = None,
    overwrite: bool = False,
) -> tuple[ImageIndex, SkippedImages]:
    """Embed every readable image below a folder and write the index.

    Images that cannot be read are left out, returned, and listed in OUT/skipped.txt.

    Args:
        kind: of faiss index, as its factory writes it; by default one that suits the number of vectors.

    Raises:
        UsageError: there is no such kind.
        DataError: the folder has no readable image.
        OutputExists: `out` exists and `overwrite` is off.
        Busy: another process writes it.
    """
    refuse_busy(out)
    refuse_folder(out, overwrite, kind="index", inputs=(images, encoder.source))
    check_kind(kind or FLAT, encoder.num_features)
    paths, work, skipped = find_images(images), Work(batch_size, workers, progress), SkippedImages()
    places = [Place(1, path.relative_to(images).as_posix()) for path in paths]
    about = About(encoder.id, encoder.source, encoder.backend, images.resolve())
    with new_folder(out, overwrite, kind="index", inputs=(images, encoder.source)) as partial:
        with filling(partial, about, kind=kind) as change:
            embed_photos(
                encoder,
                paths,
                places,
                work,
                skipped,
                lambda _, entries, vectors: change.insert(entries, vectors),
            )
            if not change.rows_in_all:
                problem = skipped.items[0][1]
                raise DataError(f"None of the {len(skipped)} images in {about.root} can be read; the first: {problem}")
        if skipped:
            skipped.write(partial / SKIPPED_FILE)
    return load(out), skipped


def build_from_vectors(
    file: Path, encoder: PhotoEncoder, out: Path, *, kind: str | None = None, overwrite: bool = False
) -> ImageIndex:
    """Write the index of vectors that were made before.

    Their photos need not be here: thumbnails are made of them when they are asked for. Photos in shards or in a dataset
    have no files to show.

    Args:
        file: as `read_vectors` reads it; one that is mapped is read block by block.
        encoder: that made the vectors, and that the index is to be used with.
        kind: as for `build`.

    Raises:
        ArtifactError: the file is missing or damaged.
        IndexMismatch: another encoder made the vectors.
        DataError: there are none, or a photo is named twice.
        OutputExists: `out` exists and `overwrite` is off.
    """
    refuse_busy(out)
    refuse_folder(out, overwrite, kind="index", inputs=(file, encoder.source))
    check_kind(kind or FLAT, encoder.num_features)
    vectors = read_vectors(file)
    made_by = vectors.about.encoder
    differences = made_by.differences(encoder.id)
    if differences:
        raise IndexMismatch(
            f"The vectors in {file} were made by {made_by.name}, not by {encoder.name}: {', '.join(differences)}. "
            "Give the encoder that made them."
        )
    if not len(vectors):
        raise DataError(f"{file} holds no vector; embed photos first.")
    root = vectors.about.root
    about = About(made_by, encoder.source, encoder.backend, root or file.resolve().parent)
    with (
        new_folder(out, overwrite, kind="index", inputs=(file, encoder.source)) as partial,
        filling(partial, about, kind=kind, is_scanned=root is not None) as change,
    ):
        try:
            _insert(change, vectors)
        except NamedTwice:
            twice = next(path for path, times in Counter(vectors.rows.paths).items() if times > 1)
            raise NamedTwice(f"{file} names {shown(twice)} more than once; embed each photo once.") from None
    return load(out)


def _insert(change: Change, vectors: Vectors) -> None:
    rows = vectors.rows
    for first, block in in_blocks(rows.vectors):
        part = slice(first, first + len(block))
        paths = rows.paths[part]
        entries = [
            Entry(1, path, digest, size, None, label_of(path))
            for path, digest, size in zip(paths, rows.sha256[part], rows.sizes[part])
        ]
        change.insert(entries, block)
