"""`goodviews hub list`."""

from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from ..output.printing import json_text
from ..output.terminal import Terminal
from .entries import UNVERIFIED, Entry, Fact, find_entries, get_entry, is_entry


def list_(
    name: str | None = None, *, search: str = "", as_json: Annotated[bool, Parameter(name="--json")] = False
) -> None:
    """List encoders that others published and that load by name, or all that is known of one.

    Every value was read on a page, which the second form names; "unverified" stands where no page says it.

    Example: goodviews hub list --search "moco v2"

    Args:
        name: An entry, to see all of it, or a word as for --search.
        search: Words that an entry's name, method, architecture, licence or format must hold.
        as_json: Print JSON, sources included.
    """
    is_whole = name is not None and is_entry(name)
    entries = [get_entry(name)] if name is not None and is_whole else find_entries(f"{name or ''} {search}")
    if name is not None and not entries:
        get_entry(name)  # which says that there is none, and what comes near
    if as_json:
        print(json_text([asdict(entry) for entry in entries]))
        return
    console = Terminal(highlight=False)
    if is_whole:
        _print_whole(entries[0], Terminal(highlight=False, soft_wrap=True))
        return
    table = Table("name", "method", "network", "epochs", "published", "licence", "loads", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(*map(Text, _row(entry)))
    console.print(table)
    console.print(f"{len(entries)} encoders. goodviews hub list NAME tells where each value was read.")


def _row(entry: Entry) -> tuple[str, ...]:
    first = entry.numbers[0] if entry.numbers else None
    return (
        entry.name,
        entry.method,
        _shown(entry.architecture),
        _shown(entry.epochs),
        f"{first.metric} {first.value:g}" if first else UNVERIFIED,
        _shown(entry.licence),
        _loads(entry),
    )


def _loads(entry: Entry) -> str:
    """Whether a program can fetch the file and read it."""
    if entry.importer is None:
        return "no"
    if entry.by_hand:
        return "by a copy" if entry.copies else "by hand"
    return "yes"


def _shown(fact: Fact | None) -> str:
    return UNVERIFIED if fact is None else str(fact.value)


def _print_whole(entry: Entry, console: Terminal) -> None:
    """A line each, then the pages that they were read on."""
    facts = [(label, _text(fact), fact.source if fact else None) for label, fact in _labelled(entry)]
    facts += [(one.metric, f"{one.value:g} % ({one.protocol})", one.source) for one in entry.numbers]
    pages = list(dict.fromkeys(source for _, _, source in facts if source))
    console.print(Text(f"{entry.name}: {entry.method}", style="bold"))
    for label, text, source in facts:
        mark = f"  [{pages.index(source) + 1}]" if source else ""
        console.print(Text(f"{label:17} {text}{mark}"))
    console.print(Text("read at"))
    for number, source in enumerate(pages, start=1):
        console.print(Text(f"[{number}] {source.page} ({source.read})"))


def _labelled(entry: Entry) -> list[tuple[str, Fact | None]]:
    rows: list[tuple[str, Fact | None]] = [
        ("architecture", entry.architecture),
        ("epochs", entry.epochs),
        ("address", entry.address),
    ]
    rows += [(label, fact) for label, fact in (("file", entry.file), ("by hand since", entry.by_hand)) if fact]
    rows += [("copy", copy) for copy in entry.copies]
    rows += [("licence", entry.licence), ("checksum", entry.checksum), ("photos", entry.preprocessing)]
    return [*rows, ("no importer since", entry.reason) if entry.importer is None else ("imported as", entry.importer)]


def _text(fact: Fact | None) -> str:
    if fact is None:
        return UNVERIFIED
    value: Any = fact.value
    if hasattr(value, "input_px"):
        return f"{value.input_px} px, {value.interpolation}, mean {value.mean}, std {value.std}"
    return f"{value}{f', of the {fact.of}' if fact.of else ''}{f' ({fact.kind})' if fact.kind else ''}"
