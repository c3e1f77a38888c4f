"""Training batches of photos with boxes and masks; their order, sizes and flips depend on the seed alone."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..datasets.labelled_photos import LabelledPhoto, Mask, Rle, read_photo
from ..datasets.photo_table import PhotoTable
from .photo_order import PhotoOrder, draw_size_and_flip
from .settings import DetectionSettings

# (3, H, W) RGB 0-1; {"boxes": (n, 4), "labels": (n,) from 1, with masks also "masks": n of Mask}, after resizing
Sample = tuple[Tensor, dict[str, Any]]


def trainable_photos(photos: PhotoTable) -> PhotoTable:
    """The photos without objects that teach nothing: crowds, empty boxes, empty masks. A photo of only such is left
    out.
    """
    xmin, ymin, xmax, ymax = photos.boxes.T
    return photos.keep(~photos.is_crowd & ~photos.is_mask_empty & (xmax > xmin) & (ymax > ymin)).with_objects()


def batches(
    photos: PhotoTable,
    classes: Sequence[str],
    settings: DetectionSettings,
    *,
    seed: int,
    start: int = 0,
    stop: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Iterator[list[Sample]]:
    """Batches `start` to `stop`, the same whatever the start and the workers; `photos` are from `trainable_photos`.

    Process `rank` of `world` gets its share of each batch.
    """
    order = PhotoOrder(photos, settings.batch_size // world, seed, start, stop, rank, world)
    data = _TrainingPhotos(photos, classes, settings, seed)
    loader = DataLoader(data, batch_sampler=order, num_workers=workers, collate_fn=_pack)
    yield from map(_unpack, loader)


def resize(image: Image.Image, short_side_px: int, long_side_px: int) -> Image.Image:
    """Brings the shorter side to `short_side_px`, or less so that the longer one fits; antialiased bilinear."""
    scale = short_side_px / min(image.size)
    if max(image.size) * scale > long_side_px:
        scale = long_side_px / max(image.size)
    width, height = (max(1, int(side * scale + 0.5)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) float in 0-1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float() / 255


class _WorkerBatch(NamedTuple):
    """A batch of one worker. Each tensor takes a file descriptor until it is used, so there is one for all photos."""

    pixels: Tensor  # of all photos, one after the other
    shapes: list[tuple[int, ...]]
    targets: list[dict[str, Any]]  # with arrays


class _TrainingPhotos(Dataset):
    """By (position, photo): the photo at the size and flip that (seed, position) give."""

    def __init__(self, photos: PhotoTable, classes: Sequence[str], settings: DetectionSettings, seed: int):
        self.photos, self.settings, self.seed = photos, settings, seed
        self.label = {name: number for number, name in enumerate(classes, start=1)}

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        position, index = key
        photo = self.photos[index]
        short_side_px, is_flipped = draw_size_and_flip(self.settings, self.seed, position)
        image = resize(read_photo(photo), short_side_px, self.settings.long_side_px)
        boxes = torch.tensor([thing.box for thing in photo.objects], dtype=torch.float32)
        boxes *= torch.tensor([image.width / photo.width, image.height / photo.height]).repeat(2)
        if is_flipped:
            boxes = torch.stack([image.width - boxes[:, 2], boxes[:, 1], image.width - boxes[:, 0], boxes[:, 3]], dim=1)
        labels = torch.tensor([self.label[thing.name] for thing in photo.objects])
        target: dict[str, Any] = {"boxes": boxes, "labels": labels}
        if self.settings.masks:
            target["masks"] = [_move_mask(thing.mask, photo, image.size, is_flipped) for thing in photo.objects]
        return to_tensor(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if is_flipped else image), target


def _pack(batch: list[Sample]) -> _WorkerBatch:
    photos, targets = [photo for photo, _ in batch], [target for _, target in batch]
    return _WorkerBatch(
        pixels=torch.cat([photo.flatten() for photo in photos]),
        shapes=[tuple(photo.shape) for photo in photos],
        targets=[{name: _as_array(value) for name, value in target.items()} for target in targets],
    )


def _unpack(batch: _WorkerBatch) -> list[Sample]:
    parts = batch.pixels.split([math.prod(shape) for shape in batch.shapes])
    photos = [part.reshape(shape) for part, shape in zip(parts, batch.shapes)]
    targets = [{name: _as_tensor(value) for name, value in target.items()} for target in batch.targets]
    return list(zip(photos, targets))


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def _as_tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _move_mask(mask: Mask | None, photo: LabelledPhoto, size: tuple[int, int], is_flipped: bool) -> Mask:
    """A mask of the stored photo, in the photo at `size` (width, height), perhaps flipped."""
    assert mask is not None, f"the reader refuses an object without a mask in {photo.path}"
    if isinstance(mask, Rle):
        from ..datasets.masks import decode, encode

        pixels = Image.fromarray(decode(mask, photo.height, photo.width)).resize(size, Image.Resampling.NEAREST)
        return encode(np.array(pixels)[:, :: -1 if is_flipped else 1])
    scale = np.array([size[0] / photo.width, size[1] / photo.height])
    points = [np.reshape(polygon, (-1, 2)) * scale for polygon in mask]
    if is_flipped:
        points = [np.stack([size[0] - one[:, 0], one[:, 1]], axis=1) for one in points]
    return tuple(tuple(one.ravel().tolist()) for one in points)
