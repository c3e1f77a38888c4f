"""`--set optimizer.lr=0.06`: a field of a frozen dataclass, changed from the command line."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import UsageError

Settings = TypeVar("Settings")


def with_changes(settings: Settings, changes: Sequence[str], *, whole: str) -> Settings:
    """A copy of a dataclass with some fields changed, see `with_change`.

    Raises:
        UsageError: a field is given twice, there is no such field, or a value is not of its type.
    """
    given = Counter(change.partition("=")[0] for change in changes)
    for field, times in given.items():
        if times > 1:
            raise UsageError(f"{field} is given {times} times, by --set or by an option of its own; give it once.")
    for change in changes:
        settings = with_change(settings, change, whole=whole)
    return settings


def with_change(settings: Settings, change: str, *, whole: str) -> Settings:
    """A copy of a dataclass with one field changed, at any depth; the value is read by the field's type.

    Args:
        change: "FIELD=VALUE", "PART.FIELD=VALUE", "LIST.0.FIELD=VALUE".
        whole: what the dataclass is, for messages: "recipe".

    Raises:
        UsageError: there is no such field, or the value is not of its type.
    """
    path, equals, text = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change} has no value; write --set FIELD=VALUE, e.g. --set optimizer.lr=0.06.")
    changed: Settings = _changed(settings, path.split("."), text, where=path, whole=whole)
    return changed


def _changed(value: Any, path: list[str], text: str, *, where: str, whole: str) -> Any:
    """`value` with the field at `path` read from `text`; every dataclass on the way is replaced, none is mutated."""
    first, rest = path[0], path[1:]
    if isinstance(value, tuple):
        if not first.isdigit() or int(first) >= len(value):
            raise UsageError(f"--set {where}: {first} is not a position in this list; use 0 to {len(value) - 1}.")
        item = _changed(value[int(first)], rest, text, where=where, whole=whole) if rest else None
        if item is None:
            raise UsageError(f"--set {where} names a part of the {whole}, not a field of it; go on with .FIELD.")
        return (*value[: int(first)], item, *value[int(first) + 1 :])
    names = [field.name for field in fields(value) if field.init]
    if first not in names:
        raise UsageError(f"--set {where}: {type(value).__name__} has no field {first}; it has {', '.join(names)}.")
    current = getattr(value, first)
    if rest:
        if not is_dataclass(current) and not _holds_parts(current):
            raise UsageError(f"--set {where}: {first} is a plain value ({current}) and has no field {rest[0]}.")
        return replace(value, **{first: _changed(current, rest, text, where=where, whole=whole)})
    if is_dataclass(current) or _holds_parts(current):
        inside = ", ".join(f.name for f in fields(current)) if is_dataclass(current) else f"0 to {len(current) - 1}"
        raise UsageError(f"--set {where} names a part of the {whole}, not a field of it; go on with one of {inside}.")
    return replace(value, **{first: _read(text, get_type_hints(type(value))[first], where=where)})


def _holds_parts(value: Any) -> bool:
    return isinstance(value, tuple) and any(is_dataclass(item) for item in value)


def _read(text: str, annotation: Any, *, where: str) -> Any:
    """Text as a value of the annotated type: as JSON if it is JSON of that type, else the text itself.

    A list may be written without brackets: 11,13 is [11, 13].
    """
    lists = [[_parse(item) for item in text.split(",")]] if get_origin(annotation) is tuple else []
    for candidate in (_parse(text), text, *lists):
        fits, value = _fit(candidate, annotation)
        if fits:
            return value
    raise UsageError(f"--set {where}={text}: the value must be {_in_words(annotation)}.")


def _parse(text: str) -> Any:
    """JSON, or the text itself where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _fit(value: Any, annotation: Any) -> tuple[bool, Any]:
    """Whether a value is of the annotated type, and the value in that type."""
    origin, args = get_origin(annotation), get_args(annotation)
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
    if annotation is type(None):
        return value is None, None
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return True, float(value)
    return type(value) is annotation, value


def _in_words(annotation: Any) -> str:
    """The annotated type as a message names it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(str(option) for option in args)
    if origin is tuple:
        return "a list such as 0.2,1.0"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return words.get(annotation, str(annotation))
