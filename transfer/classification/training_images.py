"""Training images in epochs: shuffled, augmented at random, the same with any number of workers.

An image's augmentation is drawn from (seed, epoch, its position), so a training that was stopped continues bit for bit.
Unreadable images are left out, counted and listed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.images import SkippedImages, read_image
from ...hub.output.progress import track
from ...hub.preprocessing import Preprocessing
from ..seeds import ORDER, SAMPLE, generator, torch_seed

Transform = Callable[[Image.Image], Tensor]
_Sample = tuple[int, Tensor | str]  # position; the image, or why it cannot be read


@dataclass(frozen=True)
class WorkerBatch:
    """Images of a batch that one worker read, stacked there: they take one file descriptor, not one each."""

    images: Tensor | None  # (n, 3, H, W); None: none could be read
    positions: list[int]  # of the images
    problems: list[tuple[int, str]]  # positions that could not be read, and why


class TrainingImages:
    """Batches of every image once an epoch; the last batch may be smaller.

    Args:
        paths: the images.
        transform: RGB image -> (3, H, W); its randomness must come from torch's global generator.
        workers: processes that read; 0 reads in this one.
        progress: show a bar for each epoch.
        values: of images of more than 8 bits, which are black and white; see `hub.deep_pixels`.
        share: (rank, world); of every batch the images rank, rank + world, ... alone.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        transform: Transform,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        progress: bool = False,
        values: Values | None = None,
        share: tuple[int, int] = (0, 1),
    ):
        self.steps = -(-len(paths) // batch_size)
        self.skipped = SkippedImages()
        self._paths, self._progress = paths, progress
        self._order = _Order(len(paths), batch_size, seed, share)
        self._loader = DataLoader(
            _Images(paths, transform, seed, values),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_stack,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # the global one belongs to the caller
        )

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(n, 3, H, W) images and their (n,) positions in `paths`.

        Raises:
            DataError: no image can be read.
        """
        for batch in self.batches(epoch):
            self.note(batch.problems)
            if batch.images is not None:
                yield batch.images, torch.tensor(batch.positions)
        self.require_one()

    def batches(self, epoch: int) -> Iterator[WorkerBatch]:
        """Every batch of an epoch, or this share of it, also where none of its images could be read."""
        self._order.epoch = epoch
        yield from track(self._loader, f"Epoch {epoch + 1}", is_shown=self._progress)

    def places(self, epoch: int) -> Tensor:
        """(N,) where each image comes in an epoch."""
        return torch.from_numpy(self._order.positions(epoch)).argsort()

    def require_one(self) -> None:
        """Raises DataError where no image could be read."""
        if len(self.skipped) == len(self._paths):
            raise DataError(
                f"None of the {len(self._paths)} training images can be read; the first: {self.skipped.items[0][1]}"
            )

    def state_dict(self) -> dict[str, Any]:
        """What an epoch leaves for the next: the images that could not be read."""
        return {"positions": list(self.skipped.positions), "reasons": [reason for _, reason in self.skipped]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.note(zip(state["positions"], state["reasons"]))

    def note(self, problems: Iterable[tuple[int, str]]) -> None:
        """Adds images that could not be read, by position, and why, to `skipped`."""
        for position, problem in problems:
            if position not in self.skipped.positions:
                self.skipped.add(self._paths[position], problem, position)


def crop_and_flip(
    preprocessing: Preprocessing, *, scale: tuple[float, float], flip: float = 0.5
) -> Callable[[Image.Image], Tensor]:
    """A random part of the photo at the encoder's input size, perhaps mirrored, as uint8; see `normalised`."""
    px, filters = preprocessing.input_px, InterpolationMode(preprocessing.interpolation)
    crop = v2.RandomResizedCrop(px, scale=scale, interpolation=filters)
    return v2.Compose([crop, v2.RandomHorizontalFlip(flip), v2.PILToTensor()])


def normalised(crops: Tensor, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """(N, 3, H, W) uint8 crops as the encoder wants them, on its device: a quarter of the bytes leaves the workers.

    On a CPU the same bits as if each worker had done it.
    """
    mean, std = _constants(preprocessing.mean, preprocessing.std, device)
    pixels: Tensor = v2.functional.to_dtype(crops.to(device), torch.float32, scale=True)
    return pixels.sub_(mean).div_(std)


@cache
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each colour, once a device."""
    return torch.tensor(mean, device=device).view(-1, 1, 1), torch.tensor(std, device=device).view(-1, 1, 1)


def as_input(mean: Sequence[float], std: Sequence[float]) -> list[Callable[..., Tensor]]:
    """The steps from a Pillow image to a normalised tensor."""
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]


class _Order:
    """Batches of (epoch, position), shuffled anew each epoch."""

    def __init__(self, images: int, batch_size: int, seed: int, share: tuple[int, int]):
        self.images, self.batch_size, self.seed, self.epoch = images, batch_size, seed, 0
        self.rank, self.world = share

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.positions(self.epoch).tolist()
        for first in range(0, self.images, self.batch_size):
            batch = order[first : first + self.batch_size]
            yield [(self.epoch, position) for position in batch[self.rank :: self.world]]

    def positions(self, epoch: int) -> np.ndarray:
        """All images in the order of an epoch."""
        return generator(self.seed, ORDER, epoch).permutation(self.images)


class _Images(Dataset):
    """By (epoch, position)."""

    def __init__(self, paths: Sequence[Path], transform: Transform, seed: int, values: Values | None):
        self.paths, self.transform, self.seed, self.values = paths, transform, seed, values

    def __getitem__(self, key: tuple[int, int]) -> _Sample:
        epoch, position = key
        try:
            image = read_image(self.paths[position], values=self.values)
        except DataError as error:
            return position, str(error)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(self.seed, SAMPLE, epoch, position))
            return position, self.transform(image)


def _stack(batch: list[_Sample]) -> WorkerBatch:
    images = [image for _, image in batch if isinstance(image, Tensor)]
    return WorkerBatch(
        images=torch.stack(images) if images else None,
        positions=[position for position, image in batch if isinstance(image, Tensor)],
        problems=[(position, problem) for position, problem in batch if isinstance(problem, str)],
    )


class Photos(Dataset):
    """Photos by position, each with the same transform.

    Raises:
        DataError: a photo cannot be read.
    """

    def __init__(self, paths: Sequence[Path], transform: Transform, values: Values | None = None):
        self.paths, self.transform, self.values = paths, transform, values

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Tensor:
        return self.transform(read_image(self.paths[position], values=self.values))
