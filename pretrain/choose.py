"""From the command line's words to a recipe: its name or a user's own function, then the fields to change."""

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..hub.errors import UsageError
from . import infomin, moco
from .recipe import Recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    "infomin_100": infomin.infomin_100,
    "infomin_200": infomin.infomin_200,
    "infomin_800": infomin.infomin_800,
    "infomin_demo": infomin.infomin_demo,
    "infomin_imagenette_cpu": infomin.infomin_imagenette_cpu,
    "infomin_smoke": infomin.infomin_smoke,
    "moco_v2": moco.moco_v2_200,
    "moco_v2_200": moco.moco_v2_200,
    "moco_v2_800": moco.moco_v2_800,
    "moco_v2_imagenette_cpu": moco.moco_v2_imagenette_cpu,
    "moco_v2_smoke": moco.moco_v2_smoke,
}


def choose(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe called `name`, or made by FILE.py:FUNCTION, with changes such as "optimizer.lr=0.06".

    Raises:
        UsageError: no such recipe, file or function; a field that does not exist; a value of the wrong type.
    """
    recipe = _from_file(name) if ".py:" in name else _by_name(name)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change} has no value; write --set FIELD=VALUE, e.g. --set optimizer.lr=0.06.")
        recipe = _changed(recipe, path.split("."), text, where=path)
    return recipe


def _by_name(name: str) -> Recipe:
    if name not in RECIPES:
        raise UsageError(f"There is no recipe {name}; choose one of {', '.join(RECIPES)}, or give FILE.py:FUNCTION.")
    return RECIPES[name]()


def _from_file(name: str) -> Recipe:
    file, _, function = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{path} does not exist; a recipe of your own is given as FILE.py:FUNCTION.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, function, None)):
        raise UsageError(f"{path} has no function {function}; a recipe is a function that returns a Recipe.")
    recipe = getattr(module, function)()
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name} returned {type(recipe).__name__}; a recipe is a function that returns a Recipe.")
    return recipe


def _changed(value: Any, path: list[str], text: str, *, where: str) -> Any:
    """`value` with the field at `path` read from `text`; every dataclass on the way is replaced, none is mutated."""
    first, rest = path[0], path[1:]
    if isinstance(value, tuple):
        if not first.isdigit() or int(first) >= len(value):
            raise UsageError(f"--set {where}: {first} is not a position in this list; use 0 to {len(value) - 1}.")
        item = _changed(value[int(first)], rest, text, where=where) if rest else None
        if item is None:
            raise UsageError(f"--set {where} names a part of the recipe, not a field of it; go on with .FIELD.")
        return (*value[: int(first)], item, *value[int(first) + 1 :])
    names = [field.name for field in fields(value)]
    if first not in names:
        raise UsageError(f"--set {where}: {type(value).__name__} has no field {first}; it has {', '.join(names)}.")
    current = getattr(value, first)
    if rest:
        if not is_dataclass(current) and not _holds_parts(current):
            raise UsageError(f"--set {where}: {first} is a plain value ({current}) and has no field {rest[0]}.")
        return replace(value, **{first: _changed(current, rest, text, where=where)})
    if is_dataclass(current) or _holds_parts(current):
        inside = ", ".join(f.name for f in fields(current)) if is_dataclass(current) else f"0 to {len(current) - 1}"
        raise UsageError(f"--set {where} names a part of the recipe, not a field of it; go on with one of {inside}.")
    return replace(value, **{first: _read(text, get_type_hints(type(value))[first], where=where)})


def _holds_parts(value: Any) -> bool:
    return isinstance(value, tuple) and any(is_dataclass(item) for item in value)


def _read(text: str, wanted: Any, *, where: str) -> Any:
    """Text as a value of the annotated type; text is JSON where it can be, else taken as it stands."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = text
    for candidate in (found, text):
        fitted, value = _fit(candidate, wanted)
        if fitted:
            return value
    raise UsageError(f"--set {where}={text}: the value must be {_in_words(wanted)}.")


def _fit(value: Any, wanted: Any) -> tuple[bool, Any]:
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return value in args, value
    if origin in (Union, UnionType):
        fits = [_fit(value, option) for option in args]
        return next((fit for fit in fits if fit[0]), (False, None))
    if origin is tuple:
        if not isinstance(value, list):
            return False, None
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        items = [_fit(item, kind) for item, kind in zip(value, kinds)]
        return len(kinds) == len(value) and all(fits for fits, _ in items), tuple(item for _, item in items)
    if wanted is type(None):
        return value is None, None
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return True, float(value)
    return type(value) is wanted, value


def _in_words(wanted: Any) -> str:
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in args)
    if origin is tuple:
        return "a list such as [0.2, 1.0]"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return words.get(wanted, str(wanted))
