"""`goodviews recipes`: which recipes there are, which one suits, and all of one."""

import inspect
import json as json_text
import re
from collections.abc import Callable
from typing import Literal

from rich.table import Table
from rich.text import Text

from ...hub.output.listing import names_with, table_of, table_of_advice
from ...hub.output.terminal import Terminal
from ..recipe import Recipe, describe
from .registry import RECIPES, SHORT_NAMES
from .summary import recipe_table, views_in_words

Kind = Literal["published", "ours", "smoke"]
HEADINGS: dict[Kind, str] = {
    "published": "Published settings",
    "ours": "Ours: for fewer photos or smaller machines, and new combinations",
    "smoke": "Smoke variants: seconds on a CPU, to see that the parts fit",
}
# The name of a published setting ends in its epochs; so do the names of these, which are methods put together here.
_COMBINED = frozenset({"clsa_symmetric_200", "simclr_clsa_200", "byol_clsa_300"})
FOR_PHOTOS = (  # which photos -> recipe, and why
    ("600 to 5,000 of one kind", "simclr_adapt", "minutes; goes on from an encoder, --init goodviews:mini"),
    ("a million, several GPUs", "infomin_200", "the published budget; 100 epochs: infomin_100"),
    ("ten thousands, one GPU", "infomin_imagenette", "ResNet-18, 128 px, 800 epochs"),
    ("about 5,000, a CPU", "infomin_imagenette_cpu", "ResNet-18, 48 px; an hour and a half on one core"),
    ("about 8,000 of 32 px, a CPU", "infomin_cifar_cpu", "a narrow ResNet-18 with a stem for small photos"),
    ("labelled, and labels matter", "supervised_90", "the usual baseline; --set dim=CLASSES"),
    ("about 100, to see it work", "infomin_demo", "a minute; makes no encoder worth using"),
)


def recipes(filter: str = "", *, all: bool = False, json: bool = False) -> None:
    """List the pretraining recipes, those whose name holds a word, or all of one.

    Example: goodviews recipes infomin

    Args:
        filter: A whole name shows that recipe; a part of one lists what has it.
        all: List smoke variants too.
        json: Print JSON.
    """
    names = [name for name in RECIPES if name not in SHORT_NAMES]
    if filter in names:
        _show(filter, as_json=json)
        return
    found = names_with(filter, names, noun="recipe", command="recipes")
    hidden = [name for name in found if kind_of(name) == "smoke"]
    if not all and len(hidden) < len(found):
        found = [name for name in found if name not in hidden]
    else:
        hidden = []
    if json:
        print(json_text.dumps([_summary(name) for name in found], indent=2))
        return
    console = Terminal(highlight=False)
    for kind, heading in HEADINGS.items():
        if some := [name for name in found if kind_of(name) == kind]:
            console.print(_table(heading, some))
            console.print()
    if not filter:
        console.print(table_of_advice("Which one for my photos?", "photos", "recipe", "what it is", rows=FOR_PHOTOS))
        console.print()
    if hidden:
        console.print(f"Smoke variants not listed: {len(hidden)} (--all). A recipe whole: goodviews recipes NAME.")


def kind_of(name: str) -> Kind:
    """Whose setting a recipe is."""
    if name.endswith("_smoke"):
        return "smoke"
    return "published" if re.search(r"_\d+$", name) and name not in _COMBINED else "ours"


def _table(heading: str, names: list[str]) -> Table:
    table = table_of(heading, "recipe", "epochs", "batch", "network", "views")
    for name in names:
        recipe = RECIPES[name]()
        network = recipe.architecture + (f" x {recipe.width:g}" if recipe.width != 1 else "")
        table.add_row(name, str(recipe.epochs), str(recipe.batch_size), Text(network), Text(views_in_words(recipe)))
    return table


def _show(name: str, *, as_json: bool) -> None:
    """One recipe whole: its numbers, then its function's note and its method's lab note."""
    make = RECIPES[name]
    recipe = make().with_name(name)
    if as_json:
        print(json_text.dumps(_summary(name) | {"recipe": describe(recipe)}, indent=2))
        return
    console = Terminal(highlight=False)
    console.print(recipe_table(recipe))
    for note in (inspect.getdoc(make), inspect.getdoc(inspect.getmodule(make))):
        console.print(f"\n{note}", markup=False)


def _summary(name: str) -> dict[str, str | int | float]:
    recipe: Recipe = RECIPES[name]()
    return {
        "name": name,
        "kind": kind_of(name),
        "about": _first_line(RECIPES[name]),
        "architecture": recipe.architecture,
        "views": views_in_words(recipe),
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "lr": recipe.optimizer.lr,
    }


def _first_line(make: Callable[..., Recipe]) -> str:
    return (make.__doc__ or "").splitlines()[0]
