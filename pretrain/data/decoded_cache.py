"""Photos decoded once and kept: for data that fits, an epoch then costs no decoding, only crops.

What is kept is the whole photo, upright and RGB, or, with `short_px`, the photo with its shorter side reduced to that
where it was longer; crops are drawn from it as a recipe says. They differ slightly from crops made straight from a
large JPEG file, which is then decoded at a fraction of its size (see decode), so a run's description names what is
kept, and a run is continued as it was begun. Memory or disk makes no difference.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...hub.atomic import new_folder
from ...hub.cache import cache_folder
from ...hub.errors import DataError, UsageError
from ...hub.images import opened
from ...hub.machine import free_memory_bytes
from ...hub.sources.source import Source, read_photo
from ..views.view import Crop
from .decode import decoder, resized_crop

log = logging.getLogger(__name__)

Keep = Literal["no", "memory", "disk", "gpu"]

FORMAT = 1
PIXELS, INDEX = "pixels.bin", "index.npz"
_BLOCK = 256 * 2**20  # bytes; no photo is larger, see hub.images
_TRIED = 64  # photos by which the size of all is estimated
_SHARE = 0.8  # of what is free
_OFTEN, _FEW, _FREELY = 50, 200_000, 0.25  # epochs, photos and share of free memory from and up to which a hint is due


@dataclass(eq=False)
class KeptPhotos:
    """Decoded photos of a source by position.

    Args:
        source: where they are from.
        where: (N, 4), int64: block, first byte, height, width; height 0 for one that cannot be read.
        reasons: of those, by position.
        blocks: (bytes,), uint8, rows of pixels (H, W, 3) one photo after another.
        file: where the one block lies, if on disk: another process maps it instead of receiving it.
    """

    source: Source
    where: NDArray[np.int64]
    reasons: dict[int, str]
    blocks: Sequence[NDArray[np.uint8]] = field(default=())
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.file is not None:
            empty = self.file.stat().st_size == 0
            self.blocks = [np.empty(0, np.uint8) if empty else np.memmap(self.file, np.uint8, mode="c")]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | ({"blocks": ()} if self.file is not None else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def __len__(self) -> int:
        return len(self.where)

    def place(self, position: int) -> str:
        return self.source.place(position)

    def size(self, position: int) -> tuple[int, int]:
        """Height and width.

        Raises:
            DataError: the photo could not be read.
        """
        height, width = self.where[position, 2:].tolist()
        if not height:
            raise DataError(self.reasons[position])
        return height, width

    def without_pixels(self) -> "KeptPhotos":
        """Where photos are and how large, for those who only draw boxes: it travels light, and frees the memory."""
        return KeptPhotos(self.source, self.where, self.reasons)

    def photo(self, position: int) -> NDArray[np.uint8]:
        """(H, W, 3), RGB.

        Raises:
            DataError: it could not be read.
        """
        height, width = self.size(position)
        block, first = self.where[position, :2].tolist()
        return self.blocks[block][first : first + height * width * 3].reshape(height, width, 3)

    def read(self, position: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Tensor]:
        """As `read_crops`, from the kept photo."""
        photo = self.photo(position)
        height, width = photo.shape[:2]
        return [resized_crop(photo, crop.box(width, height, row), crop) for crop, row in zip(crops, uniforms)]


def keep_photos(
    source: Source, how: Keep, *, short_px: int | None = None, workers: int = 0, folder: Path | None = None
) -> KeptPhotos:
    """Decode every photo of a source once.

    Args:
        how: "disk" keeps them in `folder` for later runs too; "memory" and "gpu" (whose copy starts from there) here.
        short_px: the longest that a photo's shorter side stays; None keeps photos whole.
        workers: processes that decode.
        folder: by default below the user's cache folder.

    Raises:
        UsageError: they do not fit.
        DataError: the source cannot be read at all.
    """
    if how == "disk":
        return _on_disk(source, short_px, workers, folder or cache_folder() / "photos")
    _require_room(source, short_px, free_memory_bytes(), "memory")
    blocks = _Blocks()
    where, reasons = _decode_all(source, short_px, workers, blocks.add)
    return KeptPhotos(source, where, reasons, blocks.filled())


def describe_kept(how: Keep, short_px: int | None) -> dict[str, Any]:
    """What a run's description of its data says of it; nothing where nothing is kept."""
    if how == "no":
        return {}
    return {"kept": {"short_px": short_px, "crops_by": "gpu" if how == "gpu" else "cpu"}}


def _on_disk(source: Source, short_px: int | None, workers: int, folder: Path) -> KeptPhotos:
    known = [source.describe(), source.content(), short_px, decoder(), FORMAT]
    here = folder / hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
    if not here.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(source, short_px, shutil.disk_usage(folder).free, f"the disk of {folder}")
        with new_folder(here) as partial:
            with (partial / PIXELS).open("wb") as pixels:
                where, reasons = _decode_all(source, short_px, workers, _Stream(pixels).add)
            index = {"where": where, "reasons": _as_bytes(json.dumps([*reasons.items()]))}
            with (partial / INDEX).open("wb") as stream:
                np.savez(stream, **index)  # type: ignore[arg-type]
    log.info("decoded photos are kept in %s; delete the folder when they are no longer needed", here)
    with np.load(here / INDEX, allow_pickle=False) as index:
        reasons = dict(json.loads(index["reasons"].tobytes()))
        return KeptPhotos(source, index["where"], reasons, file=here / PIXELS)


def _decode_all(
    source: Source, short_px: int | None, workers: int, add: Any
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Hand every photo to `add`, which says where it put it."""
    where, reasons = np.zeros((len(source), 4), np.int64), {}
    chunks = [range(first, min(first + 16, len(source))) for first in range(0, len(source), 16)]
    loader = DataLoader(_Decoded(source, short_px), None, sampler=chunks, num_workers=workers, collate_fn=_same)
    for chunk, photos in zip(chunks, loader, strict=True):
        for position, photo in zip(chunk, photos, strict=True):
            if isinstance(photo, str):
                reasons[position] = photo
            else:
                where[position] = (*add(photo), *photo.shape[:2])
    return where, reasons


class _Decoded(Dataset):
    """Photos by chunks of positions; the reason in the place of one that cannot be read."""

    def __init__(self, source: Source, short_px: int | None):
        self.source, self.short_px = source, short_px

    def __getitem__(self, positions: Iterable[int]) -> list[NDArray[np.uint8] | str]:
        return [self._one(position) for position in positions]

    def _one(self, position: int) -> NDArray[np.uint8] | str:
        try:
            return np.asarray(shortened(read_photo(self.source, position), self.short_px))
        except DataError as error:
            return str(error)


def shortened(photo: Image.Image, short_px: int | None) -> Image.Image:
    """The photo with its shorter side reduced to `short_px` where it is longer."""
    size = _short_size(photo.size, short_px)
    return photo if size == photo.size else photo.resize(size, Image.Resampling.BICUBIC)


def _short_size(size: tuple[int, int], short_px: int | None) -> tuple[int, int]:
    shorter = min(size)
    if short_px is None or shorter <= short_px:
        return size
    width, height = (round(side * short_px / shorter) for side in size)
    return width, height


class _Blocks:
    """Memory that grows by blocks, so that no photo is ever copied again."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.uint8]] = []
        self.used = _BLOCK

    def add(self, photo: NDArray[np.uint8]) -> tuple[int, int]:
        if self.used + photo.size > _BLOCK:
            self._close()
            self.blocks.append(np.empty(max(_BLOCK, photo.size), np.uint8))
            self.used = 0
        first = self.used
        self.used += photo.size
        self.blocks[-1][first : self.used] = photo.reshape(-1)
        return len(self.blocks) - 1, first

    def filled(self) -> list[NDArray[np.uint8]]:
        self._close()
        return self.blocks

    def _close(self) -> None:
        if self.blocks:
            self.blocks[-1] = self.blocks[-1][: self.used]


class _Stream:
    """A file that grows."""

    def __init__(self, stream: Any):
        self.stream, self.used = stream, 0

    def add(self, photo: NDArray[np.uint8]) -> tuple[int, int]:
        first = self.used
        self.stream.write(photo.tobytes())
        self.used += photo.size
        return 0, first


def hint(source: Source, epochs: int) -> str | None:
    """A sentence for runs that decode the same photos again and again though they would fit into memory."""
    if epochs < _OFTEN or len(source) > _FEW:
        return None
    needed = _estimated_bytes(source, None)
    if needed > _FREELY * free_memory_bytes():
        return None
    return (
        f"decoded, the {len(source)} photos take about {needed / 1e9:.1f} GB: --keep memory (or disk, or gpu) would "
        f"decode them once instead of {epochs} times"
    )


def _require_room(source: Source, short_px: int | None, free: int, what: str) -> None:
    """Refuse before hours of decoding.

    Raises:
        UsageError: too little is free.
    """
    needed = _estimated_bytes(source, short_px)
    log.info("%d photos are decoded once and kept: about %.1f GB", len(source), needed / 1e9)
    if needed > _SHARE * free:
        raise UsageError(
            f"Keeping {len(source)} decoded photos takes about {needed / 1e9:.1f} GB and {what} has "
            f"{free / 1e9:.1f} GB free; keep them smaller (--keep-px 160), on disk (--keep disk), or not at all."
        )


def _estimated_bytes(source: Source, short_px: int | None) -> int:
    """By what the headers of a few photos, evenly chosen, say of their sides."""
    sizes = []
    for position in np.linspace(0, len(source) - 1, min(_TRIED, len(source))).astype(int).tolist():
        with suppress(DataError), opened(source.open(position)) as photo:
            width, height = _short_size(photo.size, short_px)
            sizes.append(3 * width * height)
    return int(np.mean(sizes) * len(source)) if sizes else 0


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _same(photos: Any) -> Any:
    return photos
