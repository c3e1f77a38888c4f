"""What others published by the protocols of our tasks: shown beside our tables on request, never averaged with them.

The numbers and where each was read are in published.toml.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ..reports.report import Protocol

STATUS = {"repo": "published", "3rd": "second-hand", "mem": "unverified"}


@dataclass(frozen=True)
class PublishedRow:
    """A pretraining, as somebody else measured it."""

    pretraining: str
    architecture: str
    values: dict[str, float]  # by metric, in percent
    marks: dict[str, str]  # by metric: where the value was read, a key of STATUS
    source: str

    def status(self, metric: str) -> str:
        """How far a number can be relied on, in words."""
        return STATUS[self.marks[metric]]


@dataclass(frozen=True)
class PublishedTable:
    """Rows of one protocol, best first. It stands beside our tables of the same `task`, `dataset` and `settings`."""

    protocol: str
    metrics: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    task: str | None = None
    engine: str | None = None  # the library that measured
    dataset: dict[str, Any] = field(default_factory=dict)  # what Report.dataset must hold
    settings: dict[str, Any] = field(default_factory=dict)  # what Report.protocol.settings must hold
    remark: str = ""
    source: str = ""  # of the rows that name no other

    @property
    def about(self) -> str:
        """The protocol, what the reader should know of it, and the words that are used of the numbers."""
        words = {
            "published": "read where the source says",
            "second-hand": "read in somebody else's text",
            "unverified": "remembered from the paper, not read again",
        }
        used = {row.status(metric) for row in self.rows for metric in row.values}
        legend = "; ".join(f"{word}: {meaning}" for word, meaning in words.items() if word in used)
        parts = (f"{self.protocol}.", self.remark, f"Source: {self.source}.", f"{legend}.")
        return " ".join(part for part in parts if part)


def find_published(protocol: Protocol, dataset: dict[str, Any]) -> PublishedTable | str:
    """The published table of exactly this task, data and settings, or the reason why there is none."""
    table = next((table for table in read_published() if table.task == protocol.name), None)
    if table is None:
        return f"none are known of the protocol {protocol.name}"
    ours, theirs = {**protocol.settings, **dataset}, {**table.settings, **table.dataset}
    differences = [
        f"{name} is {ours.get(name)}, there {value}" for name, value in theirs.items() if ours.get(name) != value
    ]
    return f"they are of another measurement: {', '.join(differences)}" if differences else table


@cache
def read_published() -> tuple[PublishedTable, ...]:
    """All of published.toml."""
    content = tomllib.loads(files("goodviews.hub.comparison").joinpath("published.toml").read_text("utf-8"))
    return tuple(_table(entry) for entry in content["table"])


def _table(entry: dict[str, Any]) -> PublishedTable:
    metrics = tuple(entry["metrics"])
    rows = [_row(row, metrics, entry["source"]) for row in entry["rows"]]
    rows.sort(key=lambda row: row.values.get(metrics[0], 0.0), reverse=True)
    rest = {name: value for name, value in entry.items() if name not in {"metrics", "rows"}}
    return PublishedTable(metrics=metrics, rows=tuple(rows), **rest)


def _row(entry: dict[str, Any], metrics: tuple[str, ...], source: str) -> PublishedRow:
    values = {metric: float(entry[metric]) for metric in metrics if metric in entry}
    mark = entry["mark"]
    marks = mark if isinstance(mark, dict) else dict.fromkeys(values, mark)
    return PublishedRow(
        entry["pretraining"], entry.get("architecture", "ResNet-50"), values, marks, entry.get("source", source)
    )
