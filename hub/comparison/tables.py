"""Reports of several encoders -> one table for each protocol. Numbers measured differently never share a column.

Two reports belong to one table when protocol (name, version, settings), data (by digest) and engine are equal. In a
table, runs of one encoder that differ in their seed become a mean with a 95 % t interval over the runs; a single run
keeps the interval over test images that its task computed. Random initialisations of one architecture
(`random:resnet50@0`, `@1`, …) count as seeds of one encoder. Differences to a baseline are tested where the runs can be
paired (`paired.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..reports.report import Protocol, find_reports, load_report
from .controls import Control, control_rows
from .paired import differences
from .published import PublishedTable, find_published
from .rows import Row, Run, base_name, encoder_key, row_of, seed_matters


@dataclass(frozen=True)
class Table:
    """The encoders measured by one protocol on one data set with one engine, best first."""

    protocol: Protocol
    description: dict[str, Any]  # the protocol in sentences, as the first report words it
    dataset: dict[str, Any]
    engine: str
    primary: str
    higher_is_better: bool
    rows: tuple[Row, ...]
    baseline: str | None = None  # the encoder that the differences are taken to, if it is in this table
    published: PublishedTable | None = None  # shown beside, in columns of its own
    controls: tuple[Control, ...] = ()  # what scores without seeing the images, if the reports say

    @property
    def title(self) -> str:
        return _title(self.protocol, self.dataset)

    @property
    def library(self) -> str:
        """The engine without its version."""
        return self.engine.partition(" ")[0]

    @property
    def metric(self) -> str:
        """The primary metric in words."""
        return str(self.description.get("metric", self.primary))

    @property
    def others(self) -> list[str]:
        """The further metrics that every row has, in the order of the reports."""
        names = [name for name in self.rows[0].values if name != self.primary]
        return [name for name in names if all(name in row.values for row in self.rows)]


@dataclass(frozen=True)
class Comparison:
    """Tables, and in `notes` sentences on how the reports were put into them."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def read_runs(places: Iterable[Path]) -> list[Run]:
    """Reports from RUN folders, report.json files, and encoder folders with reports/*.json.

    Raises:
        DataError: a place holds no report, or a file there is no report of ours or incomplete.
    """
    return [
        Run(f"{file.resolve().parent.name}/{file.name}", load_report(file), file.resolve().parent)
        for place in places
        for file in find_reports(place)
    ]


def compare(runs: Sequence[Run], *, baseline: str | None = None, published: bool = False) -> Comparison:
    """Sorts runs into tables and averages over seeds.

    Args:
        baseline: name of an encoder; the tables in which it was measured give the differences to it.
        published: put others' results by the same protocol on the same data beside each table.

    Raises:
        DataError: there is no run.
        UsageError: no encoder is called `baseline`.
    """
    if not runs:
        raise DataError("There is no report to compare; give the RUN folders that `goodviews transfer` wrote.")
    groups = defaultdict(list)
    for run in runs:
        groups[run.report.column].append(run)
    notes: list[str] = []
    tables = [_table(group, notes) for group in groups.values()]
    tables.sort(key=lambda table: table.title)
    if len(tables) > 1:
        notes[:0] = _explain_separation(tables)
    if baseline is not None:
        tables = _compare_with(tables, base_name(baseline), notes)
    if published:
        tables = [_with_published(table, notes) for table in tables]
    return Comparison(tuple(tables), tuple(notes))


def _title(protocol: Protocol, dataset: dict[str, Any]) -> str:
    return f"{protocol.name} on {dataset.get('name', 'unnamed data')}"


def _table(runs: Sequence[Run], notes: list[str]) -> Table:
    first = runs[0].report
    title = _title(first.protocol, first.dataset)
    groups = defaultdict(list)
    for run in _without_repetitions(runs, title, notes):
        groups[encoder_key(run.report)].append(run)
    notes.extend(
        f"{title}: the seed does not change the result of {group[0].report.encoder.name}; "
        f"its {len(group)} runs count as one."
        for group in groups.values()
        if len(group) > 1 and not seed_matters(group)
    )
    rows = [row_of(group) for group in groups.values()]
    rows.sort(key=lambda row: row.values[first.primary].mean, reverse=first.higher_is_better)
    return Table(
        protocol=first.protocol,
        description=first.description,
        dataset=first.dataset,
        engine=first.engine,
        primary=first.primary,
        higher_is_better=first.higher_is_better,
        rows=tuple(_distinguish(rows)),
        controls=control_rows(_distinguish(rows)),
    )


def _without_repetitions(runs: Sequence[Run], title: str, notes: list[str]) -> list[Run]:
    """Of several runs of one set of weights with one seed the first counts, and a note names the others."""
    firsts: dict[tuple[str, str, int], Run] = {}
    for run in runs:
        encoder = run.report.encoder
        first = firsts.setdefault((encoder.name, encoder.weights_sha256, run.report.seed), run)
        if first is not run:
            notes.append(
                f"{title}: {encoder.name} was measured twice with seed {run.report.seed}; {first.source} "
                f"({first.value:.2f}) counts, {run.source} ({run.value:.2f}) does not."
            )
    return list(firsts.values())


def _distinguish(rows: Sequence[Row]) -> list[Row]:
    """Adds the beginning of the checksum to the names of encoders that have one name and other weights."""
    names = [row.encoder for row in rows]
    return [
        replace(row, encoder=f"{row.encoder} ({row.runs[0].report.encoder.weights_sha256[:8]})")
        if names.count(row.encoder) > 1
        else row
        for row in rows
    ]


def _explain_separation(tables: Sequence[Table]) -> list[str]:
    firsts: dict[str, Table] = {}
    sentences = []
    for table in tables:
        first = firsts.setdefault(table.title, table)
        if first is not table:
            reason = _list_differences(first, table)
            sentences.append(f"Two tables are called {table.title}, for they differ in {reason}.")
    titles = "; ".join(firsts)
    return [
        f"The reports were measured in {len(tables)} ways that cannot be compared; each has its own table: {titles}.",
        *sentences,
    ]


def _list_differences(one: Table, other: Table) -> str:
    first, second = _facts(one), _facts(other)
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return ", ".join(f"{name}{_show_both(first.get(name), second.get(name))}" for name in names)


def _facts(table: Table) -> dict[str, Any]:
    """Everything that decides whether two tables are one, by its name in a sentence."""
    data = {f"data: {name}": value for name, value in table.dataset.items()}
    others = {"engine": table.engine, "primary metric": table.primary}
    return {"version": table.protocol.version, **table.protocol.settings, **data, **others}


def _show_both(one: Any, other: Any) -> str:
    """Both values in brackets, unless one is too long to be read beside the other."""
    return "" if isinstance(one, list | dict) or isinstance(other, list | dict) else f" ({one} / {other})"


def _compare_with(tables: Sequence[Table], baseline: str, notes: list[str]) -> list[Table]:
    names = sorted({row.encoder for table in tables for row in table.rows})
    if baseline not in names:
        raise UsageError(f"No encoder in these reports is called {baseline}; there are {', '.join(names)}.")
    return [_with_differences(table, baseline, notes) for table in tables]


def _with_differences(table: Table, baseline: str, notes: list[str]) -> Table:
    if all(row.encoder == baseline for row in table.rows):
        return table
    baseline_row = next((row for row in table.rows if row.encoder == baseline), None)
    if baseline_row is None:
        notes.append(f"{table.title}: the baseline {baseline} was not measured, so there are no differences.")
        return table
    rows = [
        row if row is baseline_row else replace(row, differences=differences(row, baseline_row)) for row in table.rows
    ]
    without_test: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row is not baseline_row and row.differences[table.primary].p is None:
            without_test[row.differences[table.primary].test].append(row.encoder)
    notes.extend(
        f"{table.title}: the difference of {', '.join(encoders)} to {baseline} is not tested, for {reason}."
        for reason, encoders in without_test.items()
    )
    return replace(table, rows=tuple(rows), baseline=baseline)


def _with_published(table: Table, notes: list[str]) -> Table:
    published = find_published(table.protocol, table.dataset)
    if isinstance(published, str):
        notes.append(f"{table.title}: no published results are shown, for {published}.")
        return table
    if published.engine != table.library:
        notes.append(
            f"{table.title}: the published results were measured with {published.engine}, ours with {table.engine}."
        )
    return replace(table, published=published)
