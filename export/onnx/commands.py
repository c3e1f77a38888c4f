"""The command `export`: it opens the encoder, writes its files, and says what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...hub.output.terminal import Terminal
from ..printing import print_line, print_skipped

if TYPE_CHECKING:
    from .onnx_file import Difference


def export(encoder: str, *, out: Path, images: Path | None = None, overwrite: bool = False) -> None:
    """Write an encoder as ONNX, compared with PyTorch.

    The folder gets model.onnx (photo in, unit vector out: resize, crop and normalisation inside), model_pixels.onnx
    (normalised pixels in) and export.json. A file that differs from PyTorch is not written.

    Example: goodviews export runs/infomin/encoder --out exported

    Args:
        encoder: Encoder folder or name, such as runs/infomin/encoder or timm:resnet50.a1_in1k.
        out: Folder to make.
        images: Folder of photos to compare on, at most 100 of them; by default a built-in set.
        overwrite: Replace OUT if it exists.
    """
    from ...hub.files.overwrite import refuse_folder
    from ...hub.images import SkippedImages
    from ...hub.pretrained import from_pretrained
    from .onnx_file import export as write
    from .trial_photos import users_photos

    console = Terminal()
    refuse_folder(out, overwrite, kind="export", inputs=(encoder, images))
    skipped = SkippedImages()
    photos = users_photos(images, skipped) if images is not None else None
    with console.status("Exporting and comparing with PyTorch"):
        exported = write(from_pretrained(encoder), out, photos=photos, overwrite=overwrite)
    print_skipped(console, skipped)
    _print_difference(console, out / "model.onnx", exported.image)
    _print_difference(console, out / "model_pixels.onnx", exported.pixels)


def _print_difference(console: Terminal, path: Path, difference: "Difference") -> None:
    size_mb = path.stat().st_size / 1e6
    print_line(
        console,
        f"{path}: {size_mb:.1f} MB, cosine distance to PyTorch at most "
        f"{difference.largest:.1e} on {difference.photos} photos (different photos are {difference.spread:.1e} apart)",
    )
