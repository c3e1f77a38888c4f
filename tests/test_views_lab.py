"""The pages on views and on shared information hold the figures beside them."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from .scripts import load_script

RESULTS = Path(__file__).parents[1] / "docs" / "results"

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="runs in a clone: it reads docs/results")


def load(name: str) -> ModuleType:
    return load_script(RESULTS / f"{name}.py")


def test_the_page_of_the_views_lab_is_made_of_the_reports_beside_it():
    script, folder = load("views_lab"), RESULTS / "views-lab"
    reports = script.read_reports(folder)
    assert reports
    assert (folder / "README.md").read_text("utf-8") == script.page(reports, folder)
    assert all(report["evidence"]["commit"] for report in reports.values())
    assert all((folder / f"{name}.png").is_file() for name in reports)


def test_the_page_of_gaussians_is_made_of_the_figures_beside_it():
    script, folder = load("mutual_information"), RESULTS / "mutual-information"
    figures = json.loads((folder / "figures.json").read_text("utf-8"))
    assert (folder / "README.md").read_text("utf-8") == script.page(figures)
    low = [point for point in figures["points"] if point["true"] <= 3]
    assert all(point["best"] == pytest.approx(point["true"], rel=0.1) for point in low)
    assert all(point["learned"] <= point["true"] for point in figures["points"])


def test_the_page_of_tuned_views_is_made_of_the_reports_beside_it():
    script, folder = load("views_tune"), RESULTS / "views-tune"
    reports, picked = (script.read_reports(folder, prefix) for prefix in ("tune", "picked"))
    assert (folder / "README.md").read_text("utf-8") == script.page(reports, picked, script.records(reports))


def test_the_page_of_learned_views_is_made_of_the_reports_beside_it():
    script, folder = load("learned_views"), RESULTS / "learned-views"
    reports = script.read_reports(folder)
    assert (folder / "README.md").read_text("utf-8") == script.page(reports)
    assert min(report["seeds"] for report in (reports["photos"], reports["control"])) == 3
