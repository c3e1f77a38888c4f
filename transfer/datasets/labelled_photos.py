"""Photos and their labelled objects, as engines and evaluators take them, whatever the layout. Torch-free."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ...hub.deep_pixels import Values, is_deep, is_deep_colour
from ...hub.errors import DataError
from ...hub.images import decoded, opened

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax in pixels of the stored photo, 0-based edges
Polygon = tuple[float, ...]  # x, y, x, y, ... in pixels of the stored photo


@dataclass(frozen=True)
class Rle:
    """A mask as run lengths, column after column, in COCO's compressed text."""

    size: tuple[int, int]  # height, width
    counts: str

    def as_coco(self) -> dict[str, Any]:
        """As COCO's files and libraries have it."""
        return {"size": list(self.size), "counts": self.counts}


Mask = tuple[Polygon, ...] | Rle


@dataclass(frozen=True)
class LabelledObject:
    """One labelled object, or a crowd of them."""

    name: str
    box: Box
    is_difficult: bool = False  # VOC: trained on; in scoring neither found nor missed
    is_crowd: bool = False  # COCO: a region of many; not trained on, and detections inside are ignored
    area: float | None = None  # COCO: pixels of the object itself; decides whether it is small, medium or large
    mask: Mask | None = None  # (): polygons without three corners, not trained on


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo and its labelled objects."""

    id: str  # VOC: the name in the split file; COCO: the image's id
    path: Path
    width: int
    height: int
    objects: tuple[LabelledObject, ...]
    values: Values | None = None  # of more than 8 bits: which are black and white, see hub.deep_pixels


def read_photo(photo: LabelledPhoto) -> Image.Image:
    """Reads a photo as RGB, with the pixels as stored: boxes are in that frame, so EXIF rotation is ignored.

    Raises:
        DataError: the file is damaged, or of more than 8 bits that may mean anything.
    """
    with opened(photo.path) as image:
        return decoded(image, values=photo.values, name=str(photo.path), is_upright=False)


def decoding_problems(paths: Iterable[Path], values: Values | None) -> list[str]:
    """A sentence for each photo that cannot be decoded to its end; `values` as of `LabelledPhoto`."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter
        problems = pool.map(lambda path: _decoding_problem(path, values), paths)
        return [problem for problem in problems if problem]


def size_problem(path: Path, size: tuple[int, int], *, named_by: str, sized_by: str) -> str | None:
    """What is wrong with a photo file that a list names, or None; the pixels are not decoded.

    Args:
        path: Of the photo.
        size: Width and height as labelled.
        named_by: The list, e.g. "a split file".
        sized_by: The file that gives the size.
    """
    if not path.exists():
        return f"{path} is missing, though {named_by} names it."
    try:
        with opened(path) as image:
            stored = image.size
    except DataError as error:
        return str(error)
    if stored == size:
        return None
    rotated = " (a photo that is turned by its EXIF tag must be labelled as stored)" if stored == size[::-1] else ""
    return f"{path} is {stored[0]} x {stored[1]} pixels, but {sized_by} says {size[0]} x {size[1]}{rotated}."


def _decoding_problem(path: Path, values: Values | None) -> str | None:
    """Reads the whole file; JPEG is decoded at reduced size, which finds the same damage sooner."""
    try:
        with opened(path) as image:
            image.draft(image.mode, (1, 1))
            if is_deep(image) or is_deep_colour(image):
                decoded(image, values=values, name=str(path), is_upright=False)
            else:
                image.load()
    except DataError as error:
        return str(error)
    return None
