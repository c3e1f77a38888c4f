"""The commands export, index and search: they open what is named, call the library, and say what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from ..hub.images import SkippedImages
    from .backends import EncodesPhotos
    from .index import ImageIndex
    from .onnx_file import Difference


def export(encoder: str, *, out: Path, images: Path | None = None, overwrite: bool = False) -> None:
    """Write an encoder as ONNX, compared with PyTorch.

    The folder gets model.onnx (photo in, unit vector out: resize, crop and normalisation inside), model_pixels.onnx
    (normalised pixels in) and export.json. A file that differs from PyTorch is not written.

    Args:
        encoder: Encoder folder or name, e.g. runs/infomin/encoder.
        out: Folder to make.
        images: Compare on these photos (up to 100 of them) instead of the built-in ones.
        overwrite: Replace OUT if it exists.
    """
    from ..hub.atomic import refuse_existing
    from ..hub.images import SkippedImages
    from ..hub.pretrained import from_pretrained
    from .onnx_file import export as write
    from .trial_photos import users_photos

    console = Console()
    refuse_existing(out, overwrite)
    skipped = SkippedImages()
    photos = users_photos(images, skipped) if images is not None else None
    with console.status("Exporting and comparing with PyTorch"):
        exported = write(from_pretrained(encoder), out, photos=photos, overwrite=overwrite)
    _say_skipped(console, skipped)
    _say_difference(console, out / "model.onnx", exported.image)
    _say_difference(console, out / "model_pixels.onnx", exported.pixels)


def index_build(*, encoder: str, images: Path, out: Path, batch_size: int = 64, overwrite: bool = False) -> None:
    """Make an image index from a folder of photos.

    Args:
        encoder: Encoder folder or name (runs on PyTorch), or an exported folder or .onnx file (runs on ONNX Runtime).
        images: Folder of photos, searched recursively.
        out: Folder to make.
        batch_size: Photos a forward pass.
        overwrite: Replace OUT if it exists.
    """
    from ..hub.atomic import refuse_existing
    from ..hub.images import find_images
    from .backends import open_encoder
    from .index_photos import build

    console = Console()
    refuse_existing(out, overwrite)
    find_images(images)  # an empty folder is known before the encoder is loaded
    index, skipped = build(
        open_encoder(encoder), images, out, batch_size=batch_size, progress=console.is_terminal, overwrite=overwrite
    )
    _say_skipped(console, skipped)
    dimension, name = index.about.encoder.dimension, index.about.encoder.name
    _say(console, f"{out}: {len(index)} images, {dimension} dimensions, encoded by {name} ({index.about.backend})")


def index_add(index: Path, *, images: Path, encoder: str | None = None, batch_size: int = 64) -> None:
    """Add photos to an index; those already there stay as they are unless their file changed.

    Args:
        index: Index folder.
        images: Folder of photos, or one photo.
        encoder: The index's encoder where it lies now, in either form; by default where it was.
        batch_size: Photos a forward pass.
    """
    from .index import load
    from .index_photos import add

    console = Console()
    opened = load(index)
    added = add(opened, _encoder_of(opened, encoder), images, batch_size=batch_size, progress=console.is_terminal)
    _say_skipped(console, added.skipped)
    _say(
        console,
        f"{index}: {added.new} added, {added.changed} changed, {added.unchanged} there already; {len(opened)} images",
    )


def index_remove(index: Path, images: list[str]) -> None:
    """Take photos out of an index; their ids are not used again.

    Args:
        index: Index folder.
        images: Ids or paths, as `goodviews search` prints them.
    """
    from .index import load
    from .index_photos import remove

    opened = load(index)
    removed = remove(opened, images)
    _say(Console(), f"{index}: {len(removed)} removed; {len(opened)} images")


def index_info(index: Path) -> None:
    """Say what an index holds and which encoder made it.

    Args:
        index: Index folder.
    """
    from .index import load

    opened = load(index)
    about, encoder = opened.about, opened.about.encoder
    pre, console = encoder.preprocessing, Console()
    _say(console, f"images   {len(opened)} in {about.root}")
    _say(console, f"encoder  {encoder.name} ({encoder.architecture}), from {about.source}")
    _say(console, f"weights  sha256 {encoder.weights_sha256}")
    _say(console, f"vectors  {encoder.dimension} dimensions, exact cosine search, built with {about.backend}")
    _say(console, f"photos   {pre.input_px} px centre crop at {pre.crop_pct}, {pre.interpolation}")


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

    Args:
        index: Index folder.
        image: The photo to look up; it need not be in the index.
        k: Number of neighbours.
        out: Draw query and neighbours into this .png or .jpg.
        encoder: The index's encoder where it lies now, in either form; by default where it was.
        overwrite: Replace the picture if it exists.
    """
    from ..hub.images import read_image
    from .index import load
    from .index_photos import search as look_up
    from .neighbours import check_picture_name, draw_neighbours

    console = Console()
    if out is not None:
        check_picture_name(out, overwrite)
    opened = load(index)
    opened.refuse_unmet(k, opened.about.encoder)
    read_image(image)  # an unreadable photo is known before the encoder is loaded
    matches = look_up(opened, _encoder_of(opened, encoder), image, k)
    table = Table("id", "similarity", "image")
    for match in matches:
        table.add_row(str(match.item.id), f"{match.similarity:.4f}", escape(match.item.path))
    console.print(table)
    if out is not None:
        draw_neighbours(image, [(opened.locate(m.item), m.similarity) for m in matches], out, overwrite=overwrite)
        _say(console, f"picture: {out}")


def _encoder_of(index: "ImageIndex", override: str | None) -> "EncodesPhotos":
    from ..hub.errors import ArtifactError
    from .backends import open_encoder

    try:
        return open_encoder(override or index.about.source)
    except ArtifactError as error:
        if override is not None:
            raise
        raise ArtifactError(
            f"The encoder of {index.folder} cannot be opened: {error} Or say where it is: --encoder."
        ) from None


def _say_skipped(console: Console, skipped: "SkippedImages") -> None:
    if skipped:
        _say(console, skipped.summary())
        for path, reason in skipped:
            _say(console, f"  {reason if path in reason else f'{path}: {reason}'}")


def _say_difference(console: Console, path: Path, difference: "Difference") -> None:
    size_mb = path.stat().st_size / 1e6
    _say(
        console,
        f"{path}: {size_mb:.1f} MB, cosine distance to PyTorch at most "
        f"{difference.largest:.1e} on {difference.photos} photos (different photos are {difference.spread:.1e} apart)",
    )


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
