"""A recipe: everything that decides what a run learns, as one frozen value that can be written down and compared."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from ..hub.errors import UsageError
from .heads import HeadKind
from .objective import Objective
from .schedule import Schedule
from .views import View


@dataclass(frozen=True)
class Sgd:
    """Plain SGD, no Nesterov; weight decay on every parameter, batch norm and biases included, as published."""

    lr: float
    momentum: float = 0.9
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class Recipe:
    """What is trained, on which views, towards what, and for how long.

    architecture: a timm name.
    batch_size: images over all processes; `optimizer.lr` is for this size and is never scaled silently.
    queue: keys that serve as negatives; keep it well below the number of images, or an image meets its own old keys.
    key_momentum: share of the key network's old weights that stays at a step.
    key_group: images whose keys share batch-norm statistics (see MomentumPair).
    zero_init_last: let every residual branch start as nothing. Not published for these methods; meant for short runs,
        since a plain start makes all images look alike and the first thing learned can then be how old a key is.
    """

    name: str
    architecture: str
    views: tuple[View, ...]
    objective: Objective
    optimizer: Sgd
    schedule: Schedule
    batch_size: int
    epochs: int
    head: HeadKind = "mlp"
    dim: int = 128
    queue: int = 65536
    key_momentum: float = 0.999
    key_group: int = 32
    zero_init_last: bool = False

    @property
    def input_px(self) -> int:
        """The side of the first view; what the encoder will be given in use."""
        return int(self.views[0].crop.px)


def describe(value: Any) -> Any:
    """A recipe or a part of it as JSON: every dataclass becomes {"type": its class, **fields}."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {f.name: describe(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def validate(recipe: Recipe, *, images: int, world: int) -> None:
    """Refuse what cannot be trained.

    Raises:
        UsageError: a number out of range, a view missing, or a batch larger than the data or not divisible.
    """
    at_least = {"batch_size": 2, "epochs": 1, "queue": 1, "dim": 1, "key_group": 2}
    for name, least in at_least.items():
        if getattr(recipe, name) < least:
            raise UsageError(f"{recipe.name}: {name} is {getattr(recipe, name)}; it must be {least} or more.")
    if not 0 <= recipe.key_momentum < 1:
        raise UsageError(f"{recipe.name}: key_momentum is {recipe.key_momentum}; it must be in [0, 1).")
    if recipe.optimizer.lr <= 0:
        raise UsageError(f"{recipe.name}: optimizer.lr is {recipe.optimizer.lr}; it must be above 0.")
    missing = set(recipe.objective.view_names) - {view.name for view in recipe.views}
    if missing:
        kind = type(recipe.objective).__name__
        raise UsageError(f"{recipe.name}: {kind} needs a view named {sorted(missing)[0]}, which the recipe lacks.")
    if recipe.batch_size > images:
        raise UsageError(
            f"{recipe.name} takes {recipe.batch_size} images a step, but the data has {images}; "
            f"give --batch-size {images} or less."
        )
    if recipe.batch_size % world or recipe.batch_size // world < 2:
        raise UsageError(
            f"{recipe.name}: a batch of {recipe.batch_size} cannot be shared by {world} processes, "
            "each needs the same number, at least 2; change --batch-size."
        )
