"""The report of a sweep: JSON first; the picture and the page are made of it."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.files.atomic import write_json, write_text
from ...hub.output.templates import fill_template
from ...hub.reports.provenance import libraries
from ..recipe import describe
from .curve import Curve, fit_curve
from .mutual_information import bound_of
from .point_results import PointResult
from .run_sweep import Plan

VERSION = 1
_QUANTILE = 1.96


def write_report(plan: Plan, results: Sequence[PointResult], out: Path) -> dict[str, Any]:
    """report.json, curve.png and report.html; returns what the first holds."""
    from .sweep_picture import draw

    report = make_report(plan, results)
    write_json(out / "report.json", report)
    draw(report, out / "curve.png")
    picture = base64.b64encode((out / "curve.png").read_bytes()).decode()
    page = fill_template("goodviews.pretrain.analysis", "sweep.html.j2", {"report": report, "picture": picture})
    write_text(out / "report.html", page)
    return report


def make_report(plan: Plan, results: Sequence[PointResult]) -> dict[str, Any]:
    """Every point with its interval over seeds, and a curve for each score."""
    sweep = plan.sweep
    by_point = [[result for result in results if result.point == point.name] for point in sweep.points]
    names = list(by_point[0][0].scores)
    curves = {name: _curve(by_point, name) for name in names} if sweep.has_curve else {}
    return {
        "version": VERSION,
        "sweep": sweep.name,
        "question": sweep.question,
        "axis": sweep.axis,
        "grid": sweep.grid,
        "data": plan.data,
        "training": describe(plan.frame.training),
        "seeds": plan.seeds,
        "points": [
            _point(point.name, point.value, of_point, names)
            for point, of_point in zip(sweep.points, by_point, strict=True)
        ],
        "curves": {name: {**asdict(curve), "sentence": curve.sentence()} for name, curve in curves.items()},
        "evidence": {**plan.started, "libraries": libraries(), "seconds": sum(result.seconds for result in results)},
    }


def _point(name: str, value: float | None, results: list[PointResult], names: list[str]) -> dict[str, Any]:
    negatives = results[0].negatives
    bound = bound_of([result.information for result in results], negatives=negatives)
    return {
        "name": name,
        "value": value,
        "information": {**asdict(bound), "ceiling": bound.ceiling, "of_seeds": _means(results)},
        "loss": sum(result.loss for result in results) / len(results),
        "scores": {score: score_over_seeds([result.scores[score] for result in results]) for score in names},
        "seconds": sum(result.seconds for result in results),
    }


def score_over_seeds(scores: Sequence[Any]) -> dict[str, Any]:
    """Mean top-1 in percent; its interval from the larger of the test photos' and the seeds' variance."""
    values = np.array([score.top1 for score in scores])
    of_photos = np.array([((score.high - score.low) / 2 / _QUANTILE) ** 2 for score in scores]).mean()
    of_seeds = values.var(ddof=1) if len(values) > 1 else 0.0
    # The test photos are the same for all seeds: their share of the variance does not shrink with more seeds.
    half = _QUANTILE * float(max(of_photos, of_seeds / len(values)) ** 0.5)
    mean = float(values.mean())
    return {"top1": mean, "low": mean - half, "high": mean + half, "of_seeds": values.tolist()}


def _curve(by_point: list[list[PointResult]], name: str) -> Curve:
    return fit_curve(
        [_means(results) for results in by_point],
        [[result.scores[name].top1 for result in results] for results in by_point],
    )


def _means(results: Sequence[PointResult]) -> list[float]:
    return [sum(result.information) / len(result.information) for result in results]
