"""How a batch is changed: operations say which images and how, as a stream of changes; `apply` alone does it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_VALUES_AT_ONCE = 2**18  # 8 bits each, one of 224 px a side or a few small images


@dataclass(frozen=True, eq=False)
class Change:
    """A function of images, and the images of a batch that go through it.

    function: takes images and as many of each parameter. Where only some images change it keeps their shape and type.
    parameters: each (N, ...), a row for each image of the batch, on the CPU.
    where: (N,), bool, on the CPU, the images that change; None for all.
    by_image: the function goes from image to image itself, and needs no parts of a batch that fit a cache.
    """

    function: Callable[..., Tensor]
    parameters: tuple[Tensor, ...] = ()
    where: Tensor | None = None
    by_image: bool = False


@dataclass(frozen=True, eq=False)
class Scaled:
    """A function of images whose amount follows from a magnitude, as the policies draw it.

    function: of images and their amounts (n,); of images alone, where `amount` is None.
    amount: of magnitudes (n,), float64, and the side of the images along the axis concerned, in pixels.
    settings: what `function` is given besides.
    """

    function: Callable[..., Tensor]
    amount: Callable[[Tensor, int], Tensor] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __call__(self, images: Tensor, magnitude: Tensor, **settings: Any) -> Tensor:
        settings = self.settings | settings
        return self.function(images, *self.amounts(magnitude, images.shape[settings.get("axis", 3)]), **settings)

    def amounts(self, magnitude: Tensor, side_px: int) -> tuple[Tensor, ...]:
        """What `function` is given after the images."""
        return () if self.amount is None else (self.amount(magnitude, side_px),)


def unchanged(images: Tensor) -> Tensor:
    """The images themselves: a policy may draw that."""
    return images


def apply(changes: Iterable[Change], batch: Tensor) -> Tensor:
    """The batch after all changes in their order; the batch that is given stays as it is.

    A CPU changes as many images at once as keep what an operation has in between in its cache; an image that fills it
    goes through all of its changes before the next one.
    """
    batch = batch.clone(memory_format=torch.contiguous_format)
    at_once = _images_at_once(batch)
    if at_once == 1 and len(batch) > 1:
        return _apply_one_by_one(list(changes), batch)
    for change in changes:
        if change.where is None:
            batch = _apply_to_all(change, batch, _images_at_once(batch))
        else:
            _apply_to_some(change, change.where, batch, _images_at_once(batch))
    return batch


def _images_at_once(batch: Tensor) -> int:
    if batch.device.type != "cpu":
        return max(1, len(batch))
    return max(1, _VALUES_AT_ONCE // max(1, batch[:1].numel()))


def _apply_one_by_one(changes: list[Change], batch: Tensor) -> Tensor:
    chosen = [None if change.where is None else change.where.tolist() for change in changes]
    made: Tensor | None = None
    for row in range(len(batch)):
        image = batch[row : row + 1]
        for change, where in zip(changes, chosen, strict=True):
            if where is None or where[row]:
                image = change.function(image, *(parameter[row : row + 1] for parameter in change.parameters))
                image = image.contiguous()  # as each would be if written back into the batch
        made = image.new_empty(len(batch), *image.shape[1:]) if made is None else made
        made[row] = image[0]
    assert made is not None, "the batch has more than one image"
    return made


def _apply_to_all(change: Change, batch: Tensor, at_once: int) -> Tensor:
    if change.by_image or len(batch) <= at_once:
        return change.function(batch, *change.parameters)
    made: Tensor | None = None
    for first in range(0, len(batch), at_once):
        part = slice(first, first + at_once)
        changed = change.function(batch[part], *(parameter[part] for parameter in change.parameters))
        made = changed.new_empty(len(batch), *changed.shape[1:]) if made is None else made
        made[part] = changed
    assert made is not None, "the batch is longer than a part of it"
    return made


def _apply_to_some(change: Change, where: Tensor, batch: Tensor, at_once: int) -> None:
    """In place. Which images is known on the CPU, so a GPU never waits for it; where it is none, this costs nothing."""
    for rows in where.nonzero()[:, 0].split(at_once):
        if len(rows) == 0:
            return
        parameters = [parameter[rows] for parameter in change.parameters]
        if batch.device.type == "cpu":
            images, chosen = batch.numpy(), rows.numpy()  # ten times as fast there as indexing a tensor
            images[chosen] = change.function(torch.from_numpy(images[chosen]), *parameters).numpy()
        else:
            there = rows.to(batch.device)
            batch[there] = change.function(batch.index_select(0, there), *parameters)
