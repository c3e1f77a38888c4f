"""The entries of entries.toml: each fact with the page where it was read."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import UsageError
from ..preprocessing import Preprocessing

UNVERIFIED = "unverified"  # what is shown where no source says anything


@dataclass(frozen=True)
class Source:
    """A page, and when it was read."""

    page: str
    read: str


@dataclass(frozen=True)
class Fact:
    """A value and where it was read; `of` says of a licence what it covers, `kind` of a checksum which digest it is."""

    value: Any
    source: Source
    of: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Number:
    """A published result, in percent."""

    metric: str
    value: float
    protocol: str
    source: Source


@dataclass(frozen=True)
class Entry:
    """One published encoder; a fact that no source gives is None."""

    name: str
    method: str
    architecture: Fact | None = None
    epochs: Fact | None = None
    address: Fact | None = None
    file: Fact | None = None  # its name where the address is a folder of several
    by_hand: Fact | None = None  # why no program can download it
    copies: tuple[Fact, ...] = ()
    licence: Fact | None = None
    checksum: Fact | None = None
    preprocessing: Fact | None = None  # its value is a Preprocessing
    importer: Fact | None = None  # a format of hub.importers
    reason: Fact | None = None  # why there is no importer
    numbers: tuple[Number, ...] = ()


def find_entries(text: str = "") -> list[Entry]:
    """Entries whose name, method, architecture or importer holds the text."""
    wanted = text.lower().split()
    return [entry for entry in read_entries() if all(word in _searched(entry) for word in wanted)]


def get_entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none.
    """
    entries = {entry.name: entry for entry in read_entries()}
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3)
        hint = f"perhaps {' or '.join(near)}; " if near else ""
        raise UsageError(f"The catalogue has no {name}; {hint}goodviews hub list shows all.")
    return entries[name]


def is_entry(name: str) -> bool:
    """Whether the catalogue has an entry of that name."""
    return any(entry.name == name for entry in read_entries())


@cache
def read_entries() -> tuple[Entry, ...]:
    """All of entries.toml."""
    content = tomllib.loads(files("goodviews.hub.catalogue").joinpath("entries.toml").read_text(encoding="utf-8"))
    return parse(content)


def parse(content: dict[str, Any]) -> tuple[Entry, ...]:
    """Entries of a parsed file.

    Raises:
        ValueError: a fact names no source, or one that is not listed.
    """
    sources = {name: Source(**source) for name, source in content["sources"].items()}
    photos = {name: _preprocessing(one) for name, one in content["preprocessings"].items()}
    return tuple(_entry(entry, sources, photos) for entry in content["entry"])


def _entry(entry: dict[str, Any], sources: dict[str, Source], photos: dict[str, Preprocessing]) -> Entry:
    where = f"entry {entry['name']}"
    facts: dict[str, Any] = {
        key: _fact(value, sources, f"{where}, {key}")
        for key, value in entry.items()
        if key not in {"name", "method", "copies", "numbers"}
    }
    if "preprocessing" in facts:
        named = facts["preprocessing"]
        facts["preprocessing"] = Fact(photos[named.value], named.source)
    copies = tuple(_fact(copy, sources, f"{where}, copies") for copy in entry.get("copies", ()))
    numbers = tuple(_number(number, sources, f"{where}, numbers") for number in entry.get("numbers", ()))
    return Entry(entry["name"], entry["method"], copies=copies, numbers=numbers, **facts)


def _fact(fact: Any, sources: dict[str, Source], where: str) -> Fact:
    if not isinstance(fact, dict) or set(fact) - {"is", "at", "of", "kind"}:
        raise ValueError(f"{where}: a fact is a table of is, at, and of or kind")
    return Fact(fact["is"], _source(fact, sources, where), fact.get("of"), fact.get("kind"))


def _number(number: dict[str, Any], sources: dict[str, Source], where: str) -> Number:
    return Number(number["metric"], float(number["is"]), number["protocol"], _source(number, sources, where))


def _source(fact: dict[str, Any], sources: dict[str, Source], where: str) -> Source:
    if fact.get("at") not in sources:
        raise ValueError(f"{where}: it does not say where it was read, or names a source that is not listed")
    return sources[fact["at"]]


def _preprocessing(one: dict[str, Any]) -> Preprocessing:
    return Preprocessing(**{**one, "mean": tuple(one["mean"]), "std": tuple(one["std"])})


def _searched(entry: Entry) -> str:
    facts = (entry.architecture, entry.importer, entry.licence)
    return " ".join([entry.name, entry.method, *(str(fact.value) for fact in facts if fact)]).lower()
