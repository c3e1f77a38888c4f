"""The commands `index …`: they open what is named, call the library, and say what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ...hub.output.terminal import Terminal
from ..printing import print_line, print_skipped

if TYPE_CHECKING:
    from .update import Outcome


def index_build(
    *,
    encoder: str,
    images: Path | None = None,
    vectors: Path | None = None,
    out: Path,
    kind: Annotated[str | None, Parameter(name="--index")] = None,
    batch_size: int = 64,
    workers: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Make an image index from a folder of photos, or from a file of vectors that `goodviews embed` wrote.

    Photos that cannot be read are left out and listed in OUT/skipped.txt.

    Example: goodviews index build --encoder exported --images photos --out index

    Args:
        encoder: Encoder folder or name (runs on PyTorch), or an exported folder or .onnx file (runs on ONNX Runtime).
        images: Folder of photos, searched recursively.
        vectors: File of vectors of that encoder, in place of --images: .parquet, .npy, .safetensors or .csv. The
            photos themselves need not be here.
        out: Folder to make.
        kind: Kind of faiss index, as its factory writes it, as in "IVF4096,Flat"; by default the one that suits number
            and size of the vectors, "Flat" (exact) up to 50 million numbers. Its recall is measured and kept.
        batch_size: Photos in a forward pass.
        workers: Processes that load images, 0 for none beside the command's own.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
        overwrite: Replace OUT if it exists.
    """
    from ...hub.errors import UsageError
    from ...hub.files.overwrite import refuse_folder
    from ...hub.photo_encoder import open_on
    from ...hub.sources.folders import find_images
    from .build import build, build_from_vectors

    console = Terminal()
    if (images is None) == (vectors is None):
        raise UsageError("An index is built from --images or from --vectors; give one of the two.")
    refuse_folder(out, overwrite, kind="index", inputs=(encoder, images, vectors))
    if images is not None:
        find_images(images)  # an empty folder is known before the encoder is loaded
        index, skipped = build(
            open_on(encoder, device),
            images,
            out,
            batch_size=batch_size,
            workers=workers,
            progress=True,
            kind=kind,
            overwrite=overwrite,
        )
        print_skipped(console, skipped)
    else:
        assert vectors is not None, "one of the two is given"
        index = build_from_vectors(vectors, open_on(encoder, device), out, kind=kind, overwrite=overwrite)
    about = index.about
    print_line(
        console,
        f"{out}: {len(index)} images, {about.dimension} dimensions, encoded by {about.encoder.name} ({about.backend})",
    )


def index_add(
    index: Path,
    *,
    images: Path,
    encoder: str | None = None,
    batch_size: int = 64,
    workers: int = 0,
    device: str = "auto",
) -> None:
    """Add photos to an index.

    Photos that are there already stay as they are, unless their file changed: then they get a new vector under their
    old id.

    Example: goodviews index add index --images more-photos

    Args:
        index: Index folder.
        images: Folder of photos, searched recursively, or one photo.
        encoder: Where the index's encoder is now, on PyTorch or exported; by default where it was.
        batch_size: Photos in a forward pass.
        workers: Processes that load images, 0 for none beside the command's own.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
    """
    from ...hub.files.locks import refuse_busy
    from .image_index import load
    from .open_encoder import encoder_of
    from .update import add

    opened = load(index)
    refuse_busy(index)  # before the encoder is loaded
    outcome = add(
        opened,
        encoder_of(opened, encoder, device=device),
        images,
        batch_size=batch_size,
        workers=workers,
        progress=True,
    )
    _print_outcome(index, outcome, len(opened), "added")


def index_refresh(
    index: Path,
    *,
    encoder: str | None = None,
    batch_size: int = 64,
    workers: int = 0,
    device: str = "auto",
) -> None:
    """Follow what became of an index's photos: new, changed, renamed, moved and deleted ones.

    All folders that photos were added from are looked at. Files of the size and time that the index knows are not
    read; of the others the content decides, so that a photo that was renamed or moved keeps its id and its vector.

    Example: goodviews index refresh index

    Args:
        index: Index folder.
        encoder: Where the index's encoder is now, on PyTorch or exported; by default where it was.
        batch_size: Photos in a forward pass.
        workers: Processes that load images, 0 for none beside the command's own.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
    """
    from ...hub.files.locks import refuse_busy
    from .image_index import load
    from .open_encoder import encoder_of
    from .update import refresh

    opened = load(index)
    refuse_busy(index)  # before the encoder is loaded
    found = encoder_of(opened, encoder, device=device)
    outcome = refresh(opened, found, batch_size=batch_size, workers=workers, progress=True)
    _print_outcome(index, outcome, len(opened), "new")


def index_remove(index: Path, images: list[str]) -> None:
    """Remove photos from an index.

    Their ids are not used again. When one of them is not in the index, none is removed. Photos that still lie in a
    folder of the index come back with `goodviews index refresh`.

    Example: goodviews index remove index 17 cats/tom.jpg

    Args:
        index: Index folder.
        images: Ids or paths, as `goodviews search` prints them; of a folder, all photos below it.
    """
    from .image_index import load
    from .update import remove

    opened = load(index)
    removed = remove(opened, images)
    print_line(Terminal(), f"{index}: {len(removed)} removed; {len(opened)} images")


def index_info(index: Path) -> None:
    """Say what an index holds and which encoder made it.

    Example: goodviews index info index

    Args:
        index: Index folder.
    """
    from .image_index import load

    opened = load(index)
    about, encoder = opened.about, opened.about.encoder
    pre, console = encoder.preprocessing, Terminal()
    assert pre is not None, "an index without it is refused"
    source = f"from {about.source}" if about.source else "made in memory"
    print_line(console, f"images   {len(opened)} in {about.root}")
    for root in about.further_roots:
        print_line(console, f"         and in {root}")
    print_line(console, f"encoder  {encoder.name} ({encoder.architecture}), {source}")
    print_line(console, f"weights  sha256 {encoder.weights_sha256}")
    print_line(console, f"vectors  {about.dimension} dimensions, built with {about.backend}")
    print_line(console, f"search   {opened.describe_search()}")
    print_line(console, f"photos   {pre.input_px} px centre crop at {pre.crop_pct}, {pre.interpolation}")
    print_line(console, f"disk     {_megabytes(index)} MB, format {opened.format}, {opened.removed} rows to be cleared")


def index_merge(indexes: list[Path], *, out: Path, overwrite: bool = False) -> None:
    """Join indexes of one encoder into a new one.

    Photos of the first index keep their ids. Of a photo that several indexes name, the first of them counts.

    Example: goodviews index merge holidays family --out all

    Args:
        indexes: Index folders, two or more.
        out: Folder to make.
        overwrite: Replace OUT if it exists.
    """
    from .merge import merge

    merged = merge(indexes, out, overwrite=overwrite)
    twice = f"; {merged.twice} photos were in several" if merged.twice else ""
    print_line(Terminal(), f"{out}: {len(merged.index)} images of {len(indexes)} indexes{twice}")


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6:,.1f}"


def _print_outcome(index: Path, outcome: "Outcome", images: int, new: str) -> None:
    console = Terminal()
    print_skipped(console, outcome.skipped)
    parts = [f"{outcome.new} {new}", f"{outcome.changed} changed"]
    for count, word in ((outcome.renamed, "renamed"), (outcome.moved, "moved"), (outcome.removed, "removed")):
        if count or new == "new":
            parts.append(f"{count} {word}")
    parts.append(f"{outcome.unchanged} {'unchanged' if new == 'new' else 'there already'}")
    print_line(console, f"{index}: {', '.join(parts)}; {images} images")
