"""The runs of one encoder -> one row: the mean, and the interval that so many runs allow."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scipy import stats

from ..reports.report import Report


@dataclass(frozen=True)
class Run:
    """A report and where it was read, e.g. "knn-0/report.json"."""

    source: str
    report: Report
    folder: Path | None = None  # where its predictions.csv lies, if it has one

    @property
    def value(self) -> float:
        return self.report.metrics[self.report.primary]


@dataclass(frozen=True)
class Value:
    """A metric over the runs of one encoder; without an interval `low` and `high` are None."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """An encoder minus the baseline in one metric, in the metric's unit.

    `p` is two-sided, for the hypothesis of no difference. Without a test it is None, and `test` gives the reason.
    """

    value: float
    test: str
    low: float | None = None  # of the 95 % interval
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Row:
    """One encoder in a table."""

    encoder: str
    architecture: str
    interval: str  # the method behind `low` and `high` of the values
    values: dict[str, Value]
    runs: tuple[Run, ...]
    differences: dict[str, Difference] = field(default_factory=dict)  # to the baseline, by metric; it has none itself


def row_of(runs: Sequence[Run]) -> Row:
    """Averages the runs of one encoder; of each pair of weights and seed there is one run.

    Seeds are averaged within one set of weights first, so that no initialisation counts twice. Runs that do not
    depend on the seed are one measurement and keep the interval that their task computed.
    """
    by_weights = defaultdict(list)
    for run in runs:
        by_weights[run.report.encoder.weights_sha256].append(run)
    first = runs[0].report
    if len(by_weights) > 1:
        samples = [_means(group) for group in by_weights.values()]
        interval = f"95 % t, {len(by_weights)} initialisations"
    elif seed_matters(runs):
        samples, interval = [_means([run]) for run in runs], f"95 % t, {len(runs)} seeds"
    else:
        samples, interval = [_means(runs)], str(first.description.get("interval", "none"))
    ends = first.metrics if len(samples) == 1 else {}
    values = {metric: _value(metric, [sample[metric] for sample in samples], ends) for metric in samples[0]}
    return Row(base_name(first.encoder.name), first.encoder.architecture, interval, values, tuple(runs))


def seed_matters(runs: Sequence[Run]) -> bool:
    """Whether runs of the same weights differ."""
    return len({run.value for run in runs}) > 1


def encoder_key(report: Report) -> tuple[str, str, str]:
    """Equal for runs of one encoder. The seed of a random initialisation is left out; a trained one is its weights."""
    name = base_name(report.encoder.name)
    weights = "" if name.startswith("random:") else report.encoder.weights_sha256
    return name, report.encoder.architecture, weights


def base_name(name: str) -> str:
    """The name without the seed of a random initialisation: "random:resnet50@3" -> "random:resnet50"."""
    return re.sub(r"@\d+$", "", name) if name.startswith("random:") else name


def _means(runs: Sequence[Run]) -> dict[str, float]:
    """The metrics that all runs have, each averaged; the ends of intervals are no metrics."""
    metrics = [run.report.metrics for run in runs]
    names = [name for name in metrics[0] if not name.endswith(("_low", "_high")) and all(name in m for m in metrics)]
    return {name: sum(m[name] for m in metrics) / len(metrics) for name in names}


def _value(metric: str, sample: Sequence[float], ends: dict[str, float]) -> Value:
    mean = sum(sample) / len(sample)
    if len(sample) == 1:
        return Value(mean, ends.get(f"{metric}_low"), ends.get(f"{metric}_high"))
    half = float(stats.t.ppf(0.975, len(sample) - 1) * stats.sem(sample))
    return Value(mean, mean - half, mean + half)
