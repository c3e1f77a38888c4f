"""How two views of a photo are made, in batches, from photos in memory.

A way of making pairs is a frozen dataclass: what it says of itself goes into the report.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.decode import resized_crop
from ..views.operations import Flip, Normalize
from ..views.view import Crop, Operation, RandomResizedCrop, View
from .photo_arrays import PhotoSet


class Pairs(Protocol):
    """Two views of each photo, or three for a method with a strong one."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the input of each network; one number where all views go through the same."""
        ...

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The views of some photos, each (N, C, H, W), float32, normalised."""
        ...

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        """Of whole photos (N, 3, S, S), what each network is given when its features are scored."""
        ...


@dataclass(frozen=True)
class Augmented:
    """Views by their programs, each drawn by itself; all go through one network."""

    views: tuple[View, ...]

    channels = (3,)

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(render(view, photos.images[rows], generator) for view in self.views)

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        last = self.views[0].program[-1]
        normalize = last if isinstance(last, Normalize) else Normalize()
        return (centred(images, self.views[0].crop.px, normalize),)


@dataclass(frozen=True)
class DistantPatches:
    """Two patches of a photo, the second `distance_px` further right and down; nothing else differs.

    scored_px: side of the whole photo when features are scored.

    Source: Tian et al. 2020 (arXiv:2005.10243), the experiment on spatial distance, as far as we know it: there 64 px
    of photos of high resolution at 64 to 384 px.
    """

    patch_px: int
    distance_px: int
    scored_px: int

    channels = (3,)

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        images = photos.images[rows]
        room = images.shape[-1] - self.patch_px - self.distance_px + 1
        assert room > 0, "the sweep chooses distances that fit"
        top, left = torch.randint(room, (2, len(rows)), generator=generator)
        first = cut(images, top, left, self.patch_px)
        second = cut(images, top + self.distance_px, left + self.distance_px, self.patch_px)
        return normalized(first), normalized(second)

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        return (centred(images, self.scored_px),)


def render(view: View, images: Tensor, generator: torch.Generator) -> Tensor:
    """A draw of a view of each image (N, 3, S, S), uint8."""
    numbers = torch.rand(len(images), view.width, generator=generator, dtype=torch.float64)
    return view.render(crops(view.crop, images, numbers), numbers)


def crops(crop: Crop, images: Tensor, numbers: Tensor) -> Tensor:
    """A crop of each image: (N, 3, px, px), uint8."""
    side = images.shape[-1]
    photos = images.permute(0, 2, 3, 1).numpy()
    boxes = [crop.box(side, side, row) for row in numbers.numpy()]
    return torch.stack([resized_crop(photo, box, crop) for photo, box in zip(photos, boxes, strict=True)])


def cut(images: Tensor, top: Tensor, left: Tensor, px: int) -> Tensor:
    """A square of `px` of each image at its own place: (N, 3, px, px)."""
    rows = (top[:, None] + torch.arange(px))[:, :, None]
    columns = (left[:, None] + torch.arange(px))[:, None, :]
    return images[torch.arange(len(images))[:, None, None], :, rows, columns].permute(0, 3, 1, 2)


def aligned_crops(images: Tensor, px: int, smallest: float, generator: torch.Generator) -> Tensor:
    """One crop of each image, mirrored half of the time, of which both views are then parts: uint8."""
    view = View("image", RandomResizedCrop(px, scale=(smallest, 1.0)), (Flip(p=0.5),))
    return render(view, images, generator)


def centred(images: Tensor, px: int, normalize: Normalize | None = None) -> Tensor:
    """Whole images at a side of `px`, normalised."""
    return normalized(resized(images, px), normalize)


def resized(images: Tensor, px: int) -> Tensor:
    """Whole images at a side of `px`, uint8."""
    if images.shape[-1] == px:
        return images
    return F.interpolate(images, size=(px, px), mode="bilinear", antialias=True)


def normalized(images: Tensor, normalize: Normalize | None = None) -> Tensor:
    """uint8 to float32, by default as ImageNet's photos are."""
    (change,) = (normalize or Normalize()).changes(torch.empty(len(images), 0))
    changed: Tensor = change.function(images)
    return changed


def with_program(views: Sequence[View], program: Iterable[Operation]) -> tuple[View, ...]:
    """The views with another program."""
    steps = tuple(program)
    return tuple(replace(view, program=steps) for view in views)


def two_views(crop: Crop, program: Sequence[Operation]) -> Augmented:
    """Two draws of one crop and program, which is normalised at its end."""
    steps = (*program, Normalize())
    return Augmented((View("first", crop, steps), View("second", crop, steps)))
