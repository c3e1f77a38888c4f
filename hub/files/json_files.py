"""JSON that others wrote, read within bounds: every refusal names the file and the field. Only numpy's users need it.

First any value is refused that no file of ours holds (NaN, numbers beyond 64 bits, endless texts, nesting); then a
schema, or `Fields` where pydantic is not installed, says what each field must be.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ArtifactError, GoodviewsError

DEEPEST = 64  # objects and lists within each other; a recipe has 6
LARGEST_BYTES = 2**28
LONGEST_TEXT = 2**20  # characters; a fingerprint of the widest network has 350,000
LARGEST_NUMBER = 2**63
SHOWN = 60  # characters of a wrong value


@dataclass(frozen=True)
class Place:
    """Where a value is from, for the sentence that refuses it.

    Attributes:
        path: of the file.
        remedy: what to do, as the end of a sentence: "copy it again".
        error: what is raised.
    """

    path: Path
    remedy: str
    error: type[GoodviewsError] = ArtifactError

    def refuse(self, field: str, value: Any, reason: str) -> GoodviewsError:
        """The error for a field with a wrong value."""
        shown = f"{value!r:.{SHOWN}}" if isinstance(value, str | int | float | bool | None) else _kind(value)
        return self.error(f"{self.path} has {shown} for {field}, which must be {reason}; {self.remedy}.")

    def lacks(self, field: str) -> GoodviewsError:
        """The error for a field that is missing."""
        return self.error(f"{self.path} lacks {field}; {self.remedy}.")


def read_json(place: Place, *, is_plain: bool = True) -> dict[str, Any]:
    """The JSON object of a file.

    Args:
        is_plain: off where a schema knows the type of every value, for long files.

    Raises:
        FileNotFoundError: there is none.
        GoodviewsError: it is no JSON object, or holds a value that no file of ours does.
    """
    try:
        if place.path.stat().st_size > LARGEST_BYTES:
            raise place.error(f"{place.path} has more than {LARGEST_BYTES >> 20} MB; {place.remedy}.")
        text = place.path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError):
        raise place.error(f"{place.path} is not JSON; {place.remedy}.") from None
    return parse_json(text, place, is_plain=is_plain)


def parse_json(text: str, place: Place, *, is_plain: bool = True) -> dict[str, Any]:
    """`read_json` of a text that is already read."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise place.error(f"{place.path} has {_deep_field(text)} nested too deep; {place.remedy}.") from None
    except ValueError:
        raise place.error(f"{place.path} is not JSON; {place.remedy}.") from None
    if not isinstance(content, dict):
        raise place.error(f"{place.path} was not written by goodviews, as it is no JSON object; {place.remedy}.")
    if is_plain:
        refuse_odd_values(content, place)
    return content


def refuse_odd_values(value: Any, place: Place, field: str = "", depth: int = 0) -> None:
    """Refuse NaN, infinity, numbers beyond 64 bits, texts without end and deep nesting, by field."""
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            raise place.error(f"{place.path} has {_head(field)} nested too deep; {place.remedy}.")
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            refuse_odd_values(part, place, f"{field}.{name}" if field else str(name), depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise place.refuse(field, value, "finite")
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise place.error(f"{place.path} has a number beyond 64 bits for {field}; {place.remedy}.")
    elif isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise place.error(f"{place.path} has a text of {len(value)} characters for {field}; {place.remedy}.")


@dataclass(frozen=True)
class Fields:
    """An object whose fields are checked one by one, for files that are read without pydantic."""

    values: dict[str, Any]
    place: Place
    prefix: str = ""

    def part(self, name: str) -> "Fields":
        """A field that is an object itself."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise self._refuse(name, "an object")
        return Fields(value, self.place, f"{self.prefix}{name}.")

    def text(self, name: str, *, pattern: str = r"[\s\S]{1,1000}", what: str = "a text") -> str:
        """A text that the pattern describes whole."""
        value = self._get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self._refuse(name, what)
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text, where there is one."""
        return None if self.values.get(name) is None else self.text(name)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._refuse(name, f"a whole number from {least} to {most}")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number within bounds."""
        value = self._get(name)
        if not _is_number(value, least, most):
            raise self._refuse(name, f"a number from {least} to {most}")
        return float(value)

    def numbers(self, name: str, count: int, least: float, most: float) -> tuple[float, ...]:
        """So many numbers, each within bounds."""
        value = self._get(name)
        if (
            not isinstance(value, list | tuple)
            or len(value) != count
            or not all(_is_number(n, least, most) for n in value)
        ):
            raise self._refuse(name, f"{count} numbers from {least} to {most}")
        return tuple(float(number) for number in value)

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """One of several words."""
        value = self._get(name)
        if not isinstance(value, str) or value not in options:
            raise self._refuse(name, " or ".join(options))
        return value

    def _get(self, name: str) -> Any:
        if name not in self.values:
            raise self.place.lacks(self.prefix + name)
        return self.values[name]

    def _refuse(self, name: str, reason: str) -> GoodviewsError:
        return self.place.refuse(self.prefix + name, self.values[name], reason)


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _kind(value: Any) -> str:
    kind = "object" if isinstance(value, dict) else "list"
    return f"{'an' if kind == 'object' else 'a'} {kind} of {len(value)}" if value else f"an empty {kind}"


def _deep_field(text: str) -> str:
    """The field in which a text is nested too deep, by its first three names."""
    names: list[str] = []
    depth, last = 0, ""
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"|[\[\]{}]', text):
        if token[0] in ("[", "{"):
            depth += 1
            names = [*names[: depth - 2], last] if depth > 1 else []
            last = ""
            if depth > DEEPEST:
                break
        elif token[0] in ("]", "}"):
            depth -= 1
        else:
            last = token[1]
    return _head(".".join(name for name in names if name)) or "a value"


def _head(field: str) -> str:
    """The first three names of a deep field."""
    return ".".join(field.split(".")[:3])
