"""Accuracy over shared information: the fitted quadratic, its apex, and how sure it is that there is one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True)
class Curve:
    """accuracy = a x^2 + b x + c over I_NCE in nats.

    apex: where the quadratic is highest, in nats; None without points enough, or where it opens upwards.
    apex_low, apex_high: 95 % of the resamples that have an apex among the points.
    inside: share of resamples whose apex is a maximum and lies between the outermost points: how sure an inverse U is.
    r2: share of the points' variance that the quadratic explains.
    """

    coefficients: tuple[float, float, float] | None
    apex: float | None
    apex_low: float | None
    apex_high: float | None
    inside: float
    r2: float | None

    def sentence(self) -> str:
        """What may be said of it."""
        if self.coefficients is None:
            return "Too few points for a curve."
        share = f"{100 * self.inside:.0f} % of the resamples have a maximum between the outermost points"
        if self.apex is None or self.inside < 0.5:
            return f"No inverse U shows: {share}."
        where = f"apex at {self.apex:.2f} nats [{self.apex_low:.2f}, {self.apex_high:.2f}]"
        if self.inside < 0.95:
            return f"An inverse U is possible but not sure, {where}: {share}."
        return f"An inverse U shows, {where}: {share}."


def fit_curve(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]], *, seed: int = 0) -> Curve:
    """The curve through the points' means, its doubt from resampled points and seeds.

    Args:
        x, y: of each point I_NCE and accuracy, a number for each seed.
    """
    groups = [(np.asarray(one), np.asarray(other)) for one, other in zip(x, y, strict=True)]
    middle = np.array([[one.mean(), other.mean()] for one, other in groups])
    if len({*middle[:, 0].tolist()}) < 4:
        return Curve(None, None, None, None, 0.0, None)
    a, b, c = (float(number) for number in np.polyfit(middle[:, 0], middle[:, 1], 2))
    low, high = float(middle[:, 0].min()), float(middle[:, 0].max())
    apexes = _resampled_apexes(groups, low, high, seed)
    rest = middle[:, 1] - np.polyval([a, b, c], middle[:, 0])
    spread = float(((middle[:, 1] - middle[:, 1].mean()) ** 2).sum())
    apex = -b / (2 * a) if a < 0 and low < -b / (2 * a) < high else None
    first, last = (float(end) for end in np.quantile(apexes, [0.025, 0.975])) if apexes else (None, None)
    r2 = 1 - float((rest**2).sum()) / spread if spread > 0 else None
    return Curve((a, b, c), apex, first, last, len(apexes) / RESAMPLES, r2)


def _resampled_apexes(
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]], low: float, high: float, seed: int
) -> list[float]:
    """The apexes, where there is one between low and high, of fits to points and seeds drawn with replacement."""
    random, apexes = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        chosen = [groups[place] for place in random.integers(len(groups), size=len(groups))]
        drawn = [random.integers(len(one), size=len(one)) for one, _ in chosen]
        x = np.array([one[seeds].mean() for (one, _), seeds in zip(chosen, drawn)])
        y = np.array([other[seeds].mean() for (_, other), seeds in zip(chosen, drawn)])
        if len({*x.tolist()}) < 4:
            continue
        a, b, _ = np.polyfit(x, y, 2)
        if a < 0 and low < -b / (2 * a) < high:
            apexes.append(float(-b / (2 * a)))
    return apexes
