"""The commands `index …` and `search`: they open what is named, call the library, and say what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from ...hub.output.terminal import Terminal
from ..printing import print_line, print_skipped

if TYPE_CHECKING:
    from ...hub.deep_pixels import Values
    from ...hub.photo_encoder import PhotoEncoder
    from .files import Item
    from .image_index import ImageIndex


def index_build(
    *,
    encoder: str,
    images: Path,
    out: Path,
    batch_size: int = 64,
    workers: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Make an image index from a folder of photos.

    Photos that cannot be read are left out and listed in OUT/skipped.txt.

    Example: goodviews index build --encoder exported --images photos --out index

    Args:
        encoder: Encoder folder or name (runs on PyTorch), or an exported folder or .onnx file (runs on ONNX Runtime).
        images: Folder of photos, searched recursively.
        out: Folder to make.
        batch_size: Photos in a forward pass.
        workers: Processes that load images, 0 for none beside the command's own.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
        overwrite: Replace OUT if it exists.
    """
    from ...hub.files.overwrite import refuse_folder
    from ...hub.photo_encoder import open_on
    from ...hub.sources.folders import find_images
    from .photos import build

    console = Terminal()
    refuse_folder(out, overwrite, kind="index", inputs=(encoder, images))
    find_images(images)  # an empty folder is known before the encoder is loaded
    index, skipped = build(
        open_on(encoder, device),
        images,
        out,
        batch_size=batch_size,
        workers=workers,
        progress=True,
        overwrite=overwrite,
    )
    print_skipped(console, skipped)
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
    from .photos import add

    console = Terminal()
    with _opened_alone(index) as opened:
        found = _encoder_of(opened, encoder, device=device)
        added = add(opened, found, images, batch_size=batch_size, workers=workers, progress=True)
    print_skipped(console, added.skipped)
    print_line(
        console,
        f"{index}: {added.new} added, {added.changed} changed, {added.unchanged} there already; {len(opened)} images",
    )


def index_remove(index: Path, images: list[str]) -> None:
    """Remove photos from an index.

    Their ids are not used again. When one of them is not in the index, none is removed.

    Example: goodviews index remove index 17 cats/tom.jpg

    Args:
        index: Index folder.
        images: Ids or paths, as `goodviews search` prints them.
    """
    from .photos import remove

    with _opened_alone(index) as opened:
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
    print_line(console, f"encoder  {encoder.name} ({encoder.architecture}), {source}")
    print_line(console, f"weights  sha256 {encoder.weights_sha256}")
    print_line(console, f"vectors  {about.dimension} dimensions, exact cosine search, built with {about.backend}")
    print_line(console, f"photos   {pre.input_px} px centre crop at {pre.crop_pct}, {pre.interpolation}")


def search(
    index: Path,
    image: Path,
    *,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 5,
    out: Path | None = None,
    encoder: str | None = None,
    overwrite: bool = False,
) -> None:
    """Find the photos most like one photo.

    Prints their ids, cosine similarities (1 for the same direction) and paths, the most similar first. Photos whose
    files are no longer there are marked.

    Example: goodviews search index cat.jpg -k 5 --out neighbours.png

    Args:
        index: Index folder.
        image: The photo to look up; it need not be in the index.
        k: Number of neighbours; of an index with fewer photos, all of them.
        out: Picture to draw of the photo and its neighbours, .png or .jpg; by default none.
        encoder: Where the index's encoder is now, on PyTorch or exported; by default where it was.
        overwrite: Replace the picture if it exists.
    """
    from ...hub.images import read_image
    from ...hub.output.pictures import check_picture_name
    from .image_index import load
    from .neighbours import draw_neighbours
    from .photos import search as look_up

    console, inputs = Terminal(), (index, image, encoder)
    if out is not None:
        check_picture_name(out, overwrite, inputs=inputs)
    opened = load(index)
    opened.refuse_k(k)
    values = _values_of(opened)
    photo = read_image(image, values=values)  # an unreadable photo is known before the encoder is loaded
    matches = look_up(opened, _encoder_of(opened, encoder, verify=False), photo, k)
    table = Table("id", "similarity", "image")
    for match in matches:
        gone = "" if _is_there(opened, match.item) else " (file is gone)"
        table.add_row(str(match.item.id), f"{match.similarity:.4f}", escape(match.item.path) + gone)
    console.print(table)
    if out is not None:
        found = [(opened.locate(match.item), match.similarity) for match in matches]
        draw_neighbours(photo, found, out, name=image.name, values=values, overwrite=overwrite, inputs=inputs)
        print_line(console, f"picture: {out}")


@contextmanager
def _opened_alone(folder: Path) -> Iterator["ImageIndex"]:
    """An index that no other process writes while the block runs."""
    from ...hub.files.locks import sole_writer
    from .files import read_about
    from .image_index import load

    read_about(folder)  # there is one
    with sole_writer(folder):
        yield load(folder)


def _values_of(index: "ImageIndex") -> "Values | None":
    """The range of values that photos of more than 8 bits were declared to have when the index was built."""
    preprocessing = index.about.encoder.preprocessing
    return preprocessing.values if preprocessing is not None else None


def _is_there(index: "ImageIndex", item: "Item") -> bool:
    return (index.about.root / item.path).is_file()


def _encoder_of(
    index: "ImageIndex", override: str | None, *, device: str = "cpu", verify: bool = True
) -> "PhotoEncoder":
    """The encoder that the user names, or the one that lies where the index says; a file's word downloads nothing."""
    from ...hub.errors import ArtifactError
    from ...hub.photo_encoder import open_on

    if override is not None:
        return _as_built(index, open_on(override, device, verify=verify))
    source = index.about.source
    if source is None:
        raise ArtifactError(f"The encoder of {index.folder} was made in memory; give the folder it is in: --encoder.")
    if not Path(source).exists() and not source.startswith("random:"):
        raise ArtifactError(
            f"The encoder of {index.folder} was {source}, which is no folder or file here; name it yourself: --encoder."
        )
    try:
        return _as_built(index, open_on(source, device, verify=verify))
    except ArtifactError as error:
        raise ArtifactError(
            f"The encoder of {index.folder} cannot be opened: {error} Or give the folder it is in now: --encoder."
        ) from None


def _as_built(index: "ImageIndex", encoder: "PhotoEncoder") -> "PhotoEncoder":
    """The encoder with the range of values that the index was built with, unless another was declared."""
    if encoder.preprocessing.values is None:
        encoder.declare_values(_values_of(index))
    return encoder
