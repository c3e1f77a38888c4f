"""A recipe in a short table: a line for the network, each view, the objective and every other part."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from ..recipe import Recipe
from ..views.operations import Normalize
from ..views.view import CentreCrop, Crop, View


def recipe_table(recipe: Recipe) -> Table:
    """The lines of `recipe_rows`, for a terminal or a pipe."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in recipe_rows(recipe):
        table.add_row(name, Text(text))
    return table


def recipe_rows(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Name and description of each part that the recipe has."""
    yield "recipe", recipe.name
    yield "network", ", ".join(_network(recipe))
    for names, view in _views(recipe.views):
        yield ("views " if "," in names else "view ") + names, f"{_crop(view.crop)}; {_program(view)}"
    for part in ("objective", "optimizer", "schedule", "slow", "memory", "prototypes"):
        value = getattr(recipe, part)
        if value is not None:
            yield ("EMA copy" if part == "slow" else part), _part(value)
    yield "budget", f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)}, batches of {recipe.batch_size} images"


def views_in_words(recipe: Recipe) -> str:
    """How many views of which side, e.g. "2x224 + 1x255 px"."""
    sides = [view.crop.px for view in recipe.views]
    return " + ".join(f"{sides.count(px)}x{px}" for px in dict.fromkeys(sides)) + " px"


def _network(recipe: Recipe) -> Iterator[str]:
    yield recipe.architecture
    if recipe.width != 1:
        yield f"width {recipe.width:g}"
    if recipe.branches != 1:
        yield f"{recipe.branches} branches"
    yield f"head {recipe.head} to {recipe.dim} {'classes' if recipe.head == 'classifier' else 'numbers'}"
    if recipe.batch_norm == "shared":
        yield "batch norm over all processes"
    if recipe.zero_init_last:
        yield "last batch norms zero-initialised"


def _views(views: tuple[View, ...]) -> Iterator[tuple[str, View]]:
    """Views that differ by name only, together."""
    alike: dict[tuple[Any, ...], list[View]] = {}
    for view in views:
        alike.setdefault((view.crop, view.program), []).append(view)
    for group in alike.values():
        yield ", ".join(view.name for view in group), group[0]


def _crop(crop: Crop) -> str:
    if isinstance(crop, CentreCrop):
        return f"{crop.px} px, centre crop of {crop.share:g} of the shorter side, {crop.interpolation}"
    low, high = crop.scale
    return f"{crop.px} px, random crop of {low:g} to {high:g} of the photo, {crop.interpolation}"


def _program(view: View) -> str:
    return "; ".join("normalize" if isinstance(step, Normalize) else _operation(step) for step in view.program)


def _operation(step: Any) -> str:
    """An operation with its strengths, e.g. "flip p 0.5"."""
    return f"{_words(type(step).__name__)} {_fields(step)}".strip()


def _part(value: Any) -> str:
    """A part of a recipe with its numbers, e.g. "Queue: size 65536"."""
    if not is_dataclass(value):
        return str(value)
    listed = _fields(value)
    return f"{type(value).__name__}{f': {listed}' if listed else ''}"


def _fields(value: Any) -> str:
    """All numbers, and of words those that are not the usual ones."""
    shown = [(field.name, getattr(value, field.name), field.default) for field in fields(value)]
    return ", ".join(
        f"{_words(name)} {_value(own)}" for name, own, usual in shown if not isinstance(own, str) or own != usual
    )


def _words(name: str) -> str:
    """GaussianBlur and gaussian_blur as "gaussian blur"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"{len(value)} kinds" if len(value) > 4 else " to ".join(map(_value, value))
    return _part(value) if is_dataclass(value) else str(value)
