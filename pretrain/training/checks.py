"""Recipes and options that would fail are refused here, in one sentence, before anything is built or written.

Whether a device is there and does the arithmetic is checked in `precision`, whether a run may start in its folder or go
on there in `resume`.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any

from accelerate import Accelerator

from ...hub.errors import UsageError
from ...hub.output.boards import require_boards
from ...hub.sources.source import Source
from ..models.clusters import Clusters
from ..models.prototypes import Prototypes
from ..models.queue import Queue
from ..options import Options
from ..recipe import Recipe
from ..views.operations import CutJigsaw
from ..views.view import RandomResizedCrop, View
from .compiled import check_compiler
from .rehearsal import rehearse

# What must hold for a number, by the end of its name in any part of a recipe; the first that fits counts.
_BOUNDS: dict[str, tuple[Callable[[float], bool], str]] = {
    "momentum": (lambda value: 0 <= value < 1, "in [0, 1)"),
    "temperature": (lambda value: 0 < value < math.inf, "above 0"),
    "jigsaw_weight": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    "weight": (lambda value: 0 <= value < math.inf, "0 or more"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "0 or more"),
    "optimizer.lr": (lambda value: 0 < value < math.inf, "above 0"),
    "width": (lambda value: 1 / 64 <= value < math.inf, "1/64 or more, one channel of 64"),
}


def check(recipe: Recipe, options: Options, source: Source, accelerator: Accelerator) -> None:
    """Refuse a run that would fail.

    Raises:
        UsageError: the recipe cannot be trained on this data, or an option is out of range.
        MissingExtra: a library of --log is not installed.
    """
    world = accelerator.num_processes
    _check_counts(options)
    _check_licence(options.licence)
    check_recipe(recipe, images=len(source), world=world, classes=len(source.classes))
    rehearse(recipe)
    _check_accumulation(recipe, options.accumulate, world)
    if options.compile:
        check_compiler()
    _check_keeping(options, accelerator.device.type)
    require_boards(options.boards)


def check_recipe(recipe: Recipe, *, images: int, world: int, classes: int = 0) -> None:
    """Refuse what cannot be trained.

    Args:
        images, classes: of the data; 0 classes where nobody labelled it.

    Raises:
        UsageError: a number out of range, a view or a part missing, a batch larger than the data or not divisible, or
            labels that the data lacks.
    """
    _check_numbers(recipe)
    for view in recipe.views:
        _check_view(recipe.name, view)
    _check_parts(recipe, classes)
    _check_ema(recipe)
    _check_clusters(recipe, images)
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


def _check_numbers(recipe: Recipe) -> None:
    at_least = {"batch_size": 2, "epochs": 1, "dim": 1, "slow.group": 2, "memory.size": 1, "memory.negatives": 1}
    at_least |= {f"prototypes.{name}": 1 for name in ("count", "rounds", "tries", "negatives")}
    for name, least in (at_least | {"prototypes.from_epoch": 0}).items():
        found = _field(recipe, name)
        if found is not None and found < least:
            raise UsageError(f"{recipe.name}: {name} is {found}; it must be {least} or more.")
    for name, number in _numbers(recipe):
        holds, words = next((rule for end, rule in _BOUNDS.items() if name.endswith(end)), (lambda _: True, ""))
        if not holds(number):
            raise UsageError(f"{recipe.name}: {name} is {number}; it must be {words}.")


def _numbers(recipe: Recipe) -> Iterator[tuple[str, float]]:
    """Every number of the recipe and its parts by its path, but for those in views."""
    parts = ("objective", "optimizer", "schedule", "slow", "memory", "prototypes")
    for part in ("", *parts):
        value = getattr(recipe, part) if part else recipe
        for name, number in vars(value).items() if is_dataclass(value) else ():
            if isinstance(number, int | float):
                yield f"{part}.{name}".lstrip("."), number


def _check_view(recipe: str, view: View) -> None:
    """A crop that exists, and patches that have room in it."""
    crop = view.crop
    if crop.px < 1:
        raise UsageError(f"{recipe}: the crop of view {view.name} has px {crop.px}; it must be 1 or more.")
    if isinstance(crop, RandomResizedCrop):
        for what, (low, high), most in (("scale", crop.scale, 1.0), ("ratio", crop.ratio, float("inf"))):
            if not 0 < low <= high <= most:
                raise UsageError(
                    f"{recipe}: the crop of view {view.name} has {what} {low} to {high}; give two numbers above 0, the "
                    f"lower first{', at most 1' if what == 'scale' else ''}."
                )
    for cut in (operation for operation in view.program if isinstance(operation, CutJigsaw)):
        if not 1 <= cut.patch_px <= crop.px // max(1, cut.grid):
            raise UsageError(
                f"{recipe}: view {view.name} is cut into {cut.grid} x {cut.grid} cells of {crop.px} px, which have no "
                f"room for patches of {cut.patch_px} px."
            )


def _check_parts(recipe: Recipe, classes: int) -> None:
    """The views, the memories and the labels that the objective needs."""
    kind = type(recipe.objective).__name__
    missing = set(recipe.objective.view_names) - {view.name for view in recipe.views}
    if missing:
        raise UsageError(f"{recipe.name}: {kind} needs a view named {sorted(missing)[0]}, which the recipe lacks.")
    for part in recipe.objective.needs:
        if not any(isinstance(plan, part) for plan in (recipe.slow, recipe.memory, recipe.prototypes)):
            raise UsageError(f"{recipe.name}: {kind} needs a {part.__name__}, which the recipe lacks.")
    _check_patches(recipe)
    rows, branches = getattr(recipe.objective, "parts", 1), getattr(recipe.objective, "branches", 1)
    for name, wanted in (("memory.parts", rows), ("memory.banks", rows), ("branches", branches)):
        if _field(recipe, name) not in (None, wanted):
            raise UsageError(f"{recipe.name}: {name} is {_field(recipe, name)}; {kind} works with {wanted}.")
    if Queue in recipe.objective.needs and _field(recipe, "memory.from_epoch"):
        raise UsageError(f"{recipe.name}: {kind} needs its queue from the start; leave memory.from_epoch at 0.")
    if recipe.head == "classifier" and recipe.dim != classes:
        found = f"has {classes} classes; give --set dim={classes}" if classes else "has no labels"
        raise UsageError(f"{recipe.name} learns {recipe.dim} classes, but the data {found}.")


def _check_patches(recipe: Recipe) -> None:
    """An objective with a jigsaw head needs one view cut into as many patches, one without none."""
    kind, wanted = type(recipe.objective).__name__, recipe.objective.patches
    used = [view for view in recipe.views if view.name in recipe.objective.view_names]
    cuts = {view.name: cut for view in used for cut in view.program if isinstance(cut, CutJigsaw)}
    if wanted and not cuts:
        raise UsageError(f"{recipe.name}: {kind} takes {wanted} patches of an image, and no view is cut (CutJigsaw).")
    for view, cut in cuts.items():
        if cut.grid**2 != wanted:
            takes = f"takes {wanted}; give the cut another grid" if wanted else "takes whole images; leave the cut out"
            raise UsageError(f"{recipe.name}: view {view} is cut into {cut.grid**2} patches, and {kind} {takes}.")


def _check_ema(recipe: Recipe) -> None:
    """Clusters are made of the EMA copy's embeddings, and a network with prototypes has no EMA copy."""
    if isinstance(recipe.prototypes, Clusters) and recipe.slow is None:
        raise UsageError(f"{recipe.name} has clusters, which need an EMA copy; give it a KeyNetwork too.")
    if isinstance(recipe.prototypes, Prototypes) and recipe.slow is not None:
        raise UsageError(f"{recipe.name} has prototypes and a {type(recipe.slow).__name__}; leave one of them out.")


def _check_clusters(recipe: Recipe, images: int) -> None:
    plan = recipe.prototypes
    if isinstance(plan, Clusters) and not all(1 <= count <= images for count in plan.counts or (0,)):
        raise UsageError(
            f"{recipe.name} sorts the images into {' and '.join(map(str, plan.counts)) or 'no'} clusters, but the data "
            f"has {images}; give numbers from 1 to {images}, e.g. --set prototypes.counts=[{max(1, images // 10)}]."
        )


def _check_counts(options: Options) -> None:
    if options.loader_processes < 0:
        raise UsageError(f"--workers is {options.workers}; give 0 to load images in the run's own process, or more.")
    if options.save_every is not None and options.save_every < 1:
        raise UsageError(
            f"--save-every is {options.save_every}; it counts steps, from 1. "
            "Without it a run is saved every ten minutes."
        )
    if options.profile is not None and options.profile < 1:
        raise UsageError(f"--profile is {options.profile}; it counts steps, from 1.")
    if options.snapshot_every is not None and options.snapshot_every < 1:
        raise UsageError(f"--snapshot-every is {options.snapshot_every}; it counts epochs, from 1.")


def _check_licence(licence: str | None) -> None:
    if licence is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", licence):
        raise UsageError(f"--licence is {licence!r}; give its short name, e.g. apache-2.0, mit, cc-by-4.0 or other.")


def _check_accumulation(recipe: Recipe, parts: int, world: int) -> None:
    if parts < 1 or recipe.batch_size % (parts * world) or recipe.batch_size // (parts * world) < 2:
        among = f" in each of {world} processes" if world > 1 else ""
        raise UsageError(
            f"--accumulate {parts} cannot cut a batch of {recipe.batch_size} images into equal parts, 2 or more{among}."
        )


def _check_keeping(options: Options, device: str) -> None:
    if options.keep == "no" and options.keep_px is not None:
        raise UsageError("--keep-px is the size of kept photos; give --keep memory, disk or gpu with it.")
    if options.keep_px is not None and options.keep_px < 1:
        raise UsageError(f"--keep-px is {options.keep_px}; the shorter side of a kept photo is 1 pixel or more.")
    if options.keep == "gpu" and device == "cpu":
        raise UsageError("--keep gpu: this run has no GPU; give --keep memory or disk.")


def _field(recipe: Recipe, path: str) -> Any:
    """The value of "memory.size" and the like; None where the recipe has no such part or the part no such field."""
    value: Any = recipe
    for name in path.split("."):
        value = getattr(value, name, None)
    return value
