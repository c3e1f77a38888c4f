"""Is one encoder's difference to another more than chance? Runs are paired, so that what both share cancels out.

- Over seeds, if both encoders were run with the same three seeds or more: the paired t test of the differences. The
  result holds for other seeds on the same test images.
- Else over the test images, if all runs have predictions.csv beside their reports: the exact McNemar test for the
  accuracy of one run against one, the paired bootstrap for the rest. For a metric that is no mean over images, the
  draws of images that its task scored (resamples.csv). The bootstrap also draws from several runs of an encoder. The
  result holds for other test images; for other runs, if they are few, p is a little too small.
- Else there is no test.

Sources: McNemar 1947, in its exact binomial form; Efron & Tibshirani 1993, chapters 13 and 16.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .predictions import Predictions, scores_of
from .resamples import read_resamples
from .rows import Difference, Row, Run

LEAST_SEEDS = 3
RESAMPLES = 10_000
CELLS = 4_000_000  # resamples x patterns that are drawn at a time: 32 MB

Floats = NDArray[np.float64]


def differences(row: Row, baseline: Row) -> dict[str, Difference]:
    """Of all metrics that both have: `row` minus `baseline`."""
    return {metric: _difference(row, baseline, metric) for metric in row.values if metric in baseline.values}


def _difference(row: Row, baseline: Row, metric: str) -> Difference:
    value = row.values[metric].mean - baseline.values[metric].mean
    for test in (_over_seeds, _over_images, _over_draws):
        difference = test(value, row, baseline, metric)
        if difference:
            return difference
    reason = f"their runs do not share {LEAST_SEEDS} seeds, nor is what they did on each test image beside the reports"
    return Difference(value, reason)


def _over_seeds(value: float, row: Row, baseline: Row, metric: str) -> Difference | None:
    ours, theirs = _by_seed(row.runs), _by_seed(baseline.runs)
    if ours is None or theirs is None or set(ours) != set(theirs) or len(ours) < LEAST_SEEDS:
        return None
    each = np.array([ours[seed].report.metrics[metric] - theirs[seed].report.metrics[metric] for seed in ours])
    if stats.sem(each) < 1e-9 or abs(each.mean() - value) > 1e-9:  # seeds change nothing, or count unequally in a row
        return None
    test = stats.ttest_1samp(each, 0.0)
    low, high = test.confidence_interval(0.95)
    return Difference(value, f"paired t, {len(each)} seeds", float(low), float(high), float(test.pvalue))


def _by_seed(runs: Sequence[Run]) -> dict[int, Run] | None:
    """None when a seed occurs twice, e.g. that of several initialisations."""
    by_seed = {run.report.seed: run for run in runs}
    return by_seed if len(by_seed) == len(runs) else None


def _over_images(value: float, row: Row, baseline: Row, metric: str) -> Difference | None:
    ours, theirs = _samples(row, metric), _samples(baseline, metric)
    if ours is None or theirs is None or ours[0].images != theirs[0].images:
        return None
    predictions, first, second = *ours, theirs[1]
    low, high, p = paired_bootstrap(first, second, predictions.groups(metric))
    images = f"{len(predictions.images):,} images"
    if metric == "top1" and len(first) == len(second) == 1 and {*first.flat, *second.flat} <= {0.0, 100.0}:
        return Difference(value, f"exact McNemar, {images}", low, high, mcnemar(first[0] > 0, second[0] > 0))
    runs = " and the runs" if len(first) + len(second) > 2 else ""
    return Difference(value, f"paired bootstrap, {images}{runs}", low, high, p)


def _samples(row: Row, metric: str) -> tuple[Predictions, Floats] | None:
    """Predictions, for their images, and (samples, N) scores: one sample for each set of weights, or each run of one.

    Runs that are equal on every image are one sample. None if a run has no predictions, or those of other images.
    """
    by_weights: dict[str, list[Floats]] = defaultdict(list)
    predictions: Predictions | None = None
    for run in row.runs:
        loaded = scores_of(run, metric)
        if loaded is None or (predictions and loaded[0].images != predictions.images):
            return None
        predictions = predictions or loaded[0]
        by_weights[run.report.encoder.weights_sha256].append(loaded[1])
    assert predictions is not None, "a row has a run"
    groups = [np.stack(scores) for scores in by_weights.values()]
    samples = groups[0] if len(groups) == 1 else np.stack([scores.mean(axis=0) for scores in groups])
    return predictions, samples[:1] if (samples == samples[0]).all() else samples


def _over_draws(value: float, row: Row, baseline: Row, metric: str) -> Difference | None:
    """By the draws of test images that the tasks themselves scored."""
    runs = [*row.runs, *baseline.runs]
    resamples = [read_resamples(run.folder / "resamples.csv") if run.folder else None for run in runs]
    usable = [one for one in resamples if one and metric in one.values]
    if len(usable) < len(runs) or len({one.draws for one in usable}) > 1:
        return None
    ours, theirs = np.split(np.stack([one.values[metric] for one in usable], axis=1), [len(row.runs)], axis=1)
    low, high, p = _summary(ours, theirs, np.random.default_rng(0))
    and_runs = " and of the runs" if len(runs) > 2 else ""
    return Difference(value, f"paired bootstrap, {len(ours)} draws of test images{and_runs}", low, high, p)


def mcnemar(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """Two-sided p of the exact test: an image that only one side got right is a coin toss between the two.

    Args:
        ours: (N,) whether one side got each image right.
        theirs: (N,) the same for the other side, in the same order.
    """
    wins, losses = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def paired_bootstrap(ours: Floats, theirs: Floats, groups: Sequence[NDArray[np.int64]]) -> tuple[float, float, float]:
    """95 % percentile interval and two-sided p of a difference of means; deterministic.

    Args:
        ours: (R, N), the score of each image in each run; runs are drawn as well as images.
        theirs: (S, N), the same of the other, in the same order.
        groups: images are drawn within each, and the groups' means averaged.
    """
    noise = np.random.default_rng(0)
    means = np.zeros((RESAMPLES, len(ours) + len(theirs)))
    for rows in groups:
        means += _resampled_means(np.concatenate([ours, theirs])[:, rows], noise) / len(groups)
    return _summary(means[:, : len(ours)], means[:, len(ours) :], noise)


def _summary(ours: Floats, theirs: Floats, noise: np.random.Generator) -> tuple[float, float, float]:
    """(draws, runs) of both sides -> the interval and p of the difference of their means."""
    resampled = _mean_of_drawn_runs(ours, noise) - _mean_of_drawn_runs(theirs, noise)
    low, high = np.percentile(resampled, [2.5, 97.5])
    beyond = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (beyond + 1) / (len(resampled) + 1))


def _resampled_means(scores: Floats, noise: np.random.Generator) -> Floats:
    """(runs, N) -> (RESAMPLES, runs). Images that every run scores alike are drawn together, which is much faster."""
    patterns, counts = np.unique(scores, axis=1, return_counts=True)
    at_a_time = max(1, CELLS // len(counts))
    parts = []
    for start in range(0, RESAMPLES, at_a_time):
        size = min(at_a_time, RESAMPLES - start)
        parts.append(noise.multinomial(counts.sum(), counts / counts.sum(), size=size) @ patterns.T / counts.sum())
    return np.concatenate(parts)


def _mean_of_drawn_runs(means: Floats, noise: np.random.Generator) -> Floats:
    """(draws, runs) -> (draws,); the spread between runs is that of a sample, so n / (n - 1) corrects it."""
    runs, mean = means.shape[1], means.mean(axis=1)
    resampled = (means * noise.multinomial(runs, [1 / runs] * runs, size=len(means))).sum(axis=1) / runs
    found: Floats = mean + (resampled - mean) * math.sqrt(runs / max(runs - 1, 1))
    return found
