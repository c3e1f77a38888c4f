"""A recipe: everything that decides what a run learns, as one frozen value that can be written down and compared."""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from ..hub.errors import UsageError
from ..hub.preprocessing import Preprocessing
from .models.ema import KeyNetwork, Target
from .models.heads import HeadKind
from .models.memory import Plan
from .models.optimizers import Optimizer
from .models.schedules import Schedule
from .objective import Objective
from .views.operations import Normalize
from .views.view import View

UNNAMED = "unnamed"


@dataclass(frozen=True)
class Recipe:
    """What is trained, on which views, towards what, and for how long.

    name: of the function that made it, filled in by `choose`; give it only where another one is meant.
    architecture: a timm name, or one of `hub.cifar_stem`.
    batch_size: images over all processes; `optimizer.lr` is for this size and is never scaled silently.
    dim: numbers in an embedding; with a classifier for a head, classes.
    slow: the EMA copy of the network; None without one, as for the next two.
    memory: a `Queue` of keys or a `Bank` of images.
    prototypes: learned `Prototypes`, or `Clusters` of the images.
    branches: 2 for a backbone of luma and another of chroma.
    width: of the backbone's channels; 2 doubles all but the stem's 64, which timm cannot widen. ResNets only.
    batch_norm: whose images share statistics: each process's "own", or "shared" by all processes.
    zero_init_last: zero-initialise the last batch norm of every residual branch. Published for SimCLR and BYOL; not for
        momentum contrast, where it is meant for short runs, since a plain start makes all images look alike and the
        first thing learned can then be how old a key is.
    """

    name: str = field(default=UNNAMED, kw_only=True)
    architecture: str
    views: tuple[View, ...]
    objective: Objective
    optimizer: Optimizer
    schedule: Schedule
    batch_size: int
    epochs: int
    head: HeadKind = "mlp"
    dim: int = 128
    slow: KeyNetwork | Target | None = None
    memory: Plan | None = None
    prototypes: Plan | None = None
    branches: Literal[1, 2] = 1
    width: float = 1.0
    batch_norm: Literal["own", "shared"] = "own"
    zero_init_last: bool = False

    def with_name(self, name: str) -> "Recipe":
        """With this name, unless it has one."""
        return replace(self, name=name) if self.name == UNNAMED else self

    @property
    def input_px(self) -> int:
        """The side of the first view; what the encoder will be given in use."""
        return int(self.views[0].crop.px)

    @property
    def preprocessing(self) -> Preprocessing:
        """What the encoder's input must look like in use: sized and normalised as the first view."""
        view = self.views[0]
        interpolation, last = view.crop.interpolation, view.program[-1] if view.program else None
        if isinstance(last, Normalize):
            return Preprocessing(self.input_px, interpolation=interpolation, mean=last.mean, std=last.std)
        return Preprocessing(self.input_px, interpolation=interpolation)


def describe(value: Any) -> Any:
    """A recipe or a part of it as JSON: every dataclass becomes {"type": its class, **fields}."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {f.name: describe(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def in_proportion(recipe: Recipe, reference: Recipe) -> Recipe:
    """With the reference's learning rate times the recipe's share of its batch: linear scaling, on request.

    Raises:
        UsageError: the recipe has a rate of its own already.
    """
    if recipe.optimizer.lr != reference.optimizer.lr:
        raise UsageError("--scale-lr and --set optimizer.lr=... both decide the learning rate; give one of them.")
    lr = reference.optimizer.lr * recipe.batch_size / reference.batch_size
    return replace(recipe, optimizer=replace(recipe.optimizer, lr=lr))
