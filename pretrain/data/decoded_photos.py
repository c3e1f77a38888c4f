"""Photos that were decoded once: a run crops them again and again without decoding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...hub.errors import DataError
from ...hub.sources.source import Source
from ..views.view import Crop
from .decode import resized_crop


@dataclass(eq=False)
class DecodedPhotos:
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

    def without_pixels(self) -> "DecodedPhotos":
        """Where photos lie and how large they are, which is all that boxes need; it frees the memory."""
        return DecodedPhotos(self.source, self.where, self.reasons)

    def photo(self, position: int) -> NDArray[np.uint8]:
        """(H, W, 3), RGB.

        Raises:
            DataError: it could not be read.
        """
        height, width = self.size(position)
        block, first = self.where[position, :2].tolist()
        return self.blocks[block][first : first + height * width * 3].reshape(height, width, 3)

    def read(self, position: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Tensor]:
        """As `read_crops`, from the decoded photo."""
        photo = self.photo(position)
        height, width = photo.shape[:2]
        return [resized_crop(photo, crop.box(width, height, row), crop) for crop, row in zip(crops, uniforms)]
