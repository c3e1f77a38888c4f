"""Pictures that commands draw: the name's suffix decides the format, and a wrong name is refused before any work."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files.atomic import write_bytes
from ..files.overwrite import Input, refuse_file
from ..files.own_pictures import note_picture

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def is_picture_name(path: Path) -> bool:
    """Whether the suffix, in capitals too, is that of a format that `write_picture` writes."""
    return path.suffix.lower() in _FORMATS


def check_picture_name(out: Path, overwrite: bool = False, *, inputs: Sequence[Input] = ()) -> None:
    """Refuse what `write_picture` would refuse.

    Raises:
        UsageError: `out` ends neither in .png nor in .jpg.
        OutputExists: `out` exists and `overwrite` is off, or it is no picture inside, or one of the inputs.
    """
    if not is_picture_name(out):
        raise UsageError(f"{out} is no name of a picture; let it end in .png or .jpg.")
    refuse_file(out, overwrite, inputs=inputs)


def write_picture(image: "Image.Image", out: Path, *, overwrite: bool = False, inputs: Sequence[Input] = ()) -> Path:
    """Write a picture whole. Among photos it is noted, so that it is not taken for one of them (see `own_pictures`).

    Raises:
        UsageError: `out` ends neither in .png nor in .jpg.
        OutputExists: `out` exists and `overwrite` is off, or it is no picture inside, or one of the inputs.
    """
    check_picture_name(out, overwrite, inputs=inputs)
    content = BytesIO()
    image.save(content, _FORMATS[out.suffix.lower()], quality=92)  # PNG has no quality and ignores it
    write_bytes(out, content.getvalue())
    if _lies_among_photos(out):
        note_picture(out, content.getvalue())
    return out


def _lies_among_photos(out: Path) -> bool:
    """Whether the folder has other pictures too, so that somebody may take it for data."""
    return any(is_picture_name(other) and other.name != out.name for other in out.parent.iterdir())
