"""Copies of a JSON object, each with one field as no program of ours writes it."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from goodviews.hub import GoodviewsError

MISSING = object()
NEVER_FINE = ("NaN", "infinite", "huge", "deep")  # in whatever field; the other kinds may be fine for some


def odd_copies(content: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind of oddity, field with dots, JSON text) for every field times every kind."""
    for path in _paths(content):
        value = _get(content, path)
        odd = {
            "missing": MISSING,
            "wrong type": 7 if isinstance(value, str | list | dict | None) else "seven",
            "NaN": float("nan"),
            "infinite": float("inf"),
            "negative": -3,
            "huge": 10**30,
            "empty": "" if isinstance(value, str) else [],
            "deep": _deep(1000),
        }
        for kind, wrong in odd.items():
            yield kind, ".".join(map(str, path)), _with(content, path, wrong)


def refused(
    file: Path, content: dict[str, Any], read: Callable[[], object], *, or_names: str = ""
) -> set[tuple[str, str]]:
    """Which oddities are refused, each by one sentence that names file and field."""
    found = set()
    for kind, field, text in odd_copies(content):
        file.write_text(text, "utf-8")
        try:
            read()
        except GoodviewsError as error:
            sentence = str(error)
            assert "\n" not in sentence, sentence
            assert len(sentence) < 700, sentence
            if or_names and or_names in sentence:  # a file that no longer fits
                continue
            assert file.name in sentence, (kind, field, sentence)
            last = [part for part in field.split(".") if not part.isdigit()][-1]
            first = field.split(".")[0]
            assert last in sentence or first in sentence or "format" in sentence, (kind, field, sentence)
            found.add((kind, field))
        else:
            assert kind not in NEVER_FINE, (kind, field)
    file.write_text(json.dumps(content), "utf-8")
    read()
    return found


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _paths(part, (*path, name))


def _get(content: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        content = content[name]
    return content


def _with(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> str:
    changed = copy.deepcopy(content)
    holder = _get(changed, path[:-1])
    if value is MISSING:
        del holder[path[-1]]
        return json.dumps(changed)
    holder[path[-1]] = "@odd@"
    return json.dumps(changed).replace('"@odd@"', value if isinstance(value, Deep) else json.dumps(value))


class Deep(str):
    """JSON text that json.dumps could not make."""


def _deep(levels: int) -> "Deep":
    return Deep("[" * levels + "]" * levels)
