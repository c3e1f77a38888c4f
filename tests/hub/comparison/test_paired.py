import copy
import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goodviews.hub.comparison import files as compare_files
from goodviews.hub.comparison.paired import mcnemar, paired_bootstrap
from goodviews.hub.comparison.resamples import read_resamples, write_resamples
from goodviews.hub.comparison.rows import Run
from goodviews.hub.comparison.tables import compare, read_runs
from goodviews.hub.reports.report import Report, save_report
from goodviews.transfer.classification.knn import knn
from goodviews.transfer.classification.retrieval import retrieval


def write_run(folder: Path, report: Report, right: list[bool], labels: str | None = None) -> Path:
    """A RUN folder whose predictions.csv is right where told; the report is given the numbers of these predictions."""
    names = labels or "ab" * (len(right) // 2)
    lines = [("path", "label", "predicted")]
    lines += [(f"{i}.jpg", name, name if hit else "?") for i, (name, hit) in enumerate(zip(names, right))]
    folder.mkdir()
    with (folder / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    hits, of = np.array(right), np.array(list(names))
    by_class = np.mean([100 * hits[of == name].mean() for name in np.unique(of)])
    top1 = 100 * hits.mean()
    report.metrics.update(top1=top1, top1_low=top1 - 1, top1_high=top1 + 1, mean_per_class=float(by_class))
    save_report(report, folder / "report.json")
    return folder


def test_mcnemar_is_the_sign_test_of_the_images_that_only_one_gets_right():
    ours = np.array([True] * 9 + [False] * 1 + [True] * 50)
    theirs = np.array([False] * 9 + [True] * 1 + [True] * 50)
    assert mcnemar(ours, theirs) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(ours, ours) == 1.0
    assert mcnemar(theirs, ours) == mcnemar(ours, theirs)


def test_mcnemar_of_many_images_is_the_sum_of_binomial_terms():
    hits = np.random.default_rng(1).random((2, 5_000)) < 0.6
    wins, losses = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    tail = sum(math.comb(wins + losses, k) for k in range(min(wins, losses) + 1))
    assert mcnemar(hits[0], hits[1]) == pytest.approx(min(1.0, 2 * tail / 2 ** (wins + losses)))


def test_bootstrap_interval_of_a_mean_difference_is_as_wide_as_theory_says():
    noise = np.random.default_rng(0)
    theirs = noise.normal(50, 30, (1, 400))
    ours = theirs + noise.normal(2, 10, (1, 400))  # pairing leaves only this spread
    low, high, p = paired_bootstrap(ours, theirs, [np.arange(400)])
    assert high - low == pytest.approx(2 * 1.96 * (ours - theirs).std() / 20, rel=0.05)
    assert p < 0.01
    assert paired_bootstrap(theirs, theirs, [np.arange(400)]) == (0.0, 0.0, 1.0)


def test_bootstrap_draws_within_each_class():
    right_by_class = np.array([[100.0] * 6 + [0.0] * 2])  # each class is all right or all wrong: nothing can vary
    low, high, _ = paired_bootstrap(right_by_class, np.zeros((1, 8)), [np.arange(6), np.arange(6, 8)])
    assert (low, high) == (50.0, 50.0)


def test_equal_seeds_are_paired(make_report):
    ours = [make_report("ours", top1, seed=seed) for seed, top1 in enumerate((61.0, 53.0, 72.0))]
    base = [make_report("base", top1, seed=seed) for seed, top1 in enumerate((60.0, 51.0, 69.0))]
    runs = [Run(str(i), report) for i, report in enumerate(ours + base)]
    found = compare(runs, baseline="base").tables[0].rows[0].differences["top1"]
    assert (found.test, found.value) == ("paired t, 3 seeds", 2.0)
    half = 4.302653 / np.sqrt(3)  # differences 1, 2, 3
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    assert found.p == pytest.approx(0.0742, abs=1e-4)  # t = 3.464, two degrees of freedom


def test_single_runs_are_paired_over_images_and_the_files_say_how(make_report, tmp_path):
    ours = write_run(tmp_path / "ours", make_report("ours"), [True] * 18 + [False] * 2)
    base = write_run(tmp_path / "base", make_report("base"), [True] * 8 + [False] * 10 + [True] * 2)
    comparison = compare(read_runs([ours, base]), baseline="base")
    by_metric = comparison.tables[0].rows[0].differences
    assert by_metric["top1"].test == "exact McNemar, 20 images"
    assert by_metric["top1"].p == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert by_metric["mean_per_class"].test == "paired bootstrap, 20 images"
    assert by_metric["top1"].value == pytest.approx(40)
    assert by_metric["top1"].low < 40 < by_metric["top1"].high
    assert comparison.notes == ()
    out = compare_files.write(comparison, tmp_path / "out")
    assert "exact McNemar, 20 images" in (out / "comparison.html").read_text()
    assert "| 0.039 | exact McNemar, 20 images |" in (out / "comparison.md").read_text()
    with (out / "comparison.csv").open() as file:
        line = next(csv.DictReader(file))
    assert (line["baseline"], float(line["p"])) == ("base", by_metric["top1"].p)
    assert str(tmp_path) not in json.dumps(json.loads((out / "comparison.json").read_text()))


def test_initialisations_are_drawn_with_the_images(make_report, tmp_path):
    ours = write_run(tmp_path / "ours", make_report("ours"), [True] * 20)
    random = [
        write_run(tmp_path / f"r{n}", make_report(f"random:resnet18@{n}"), [i % (n + 2) > 0 for i in range(20)])
        for n in range(3)
    ]
    rows = compare(read_runs([ours, *random]), baseline="random:resnet18").tables[0].rows
    found = rows[0].differences["top1"]
    assert found.test == "paired bootstrap, 20 images and the runs"
    assert found.value == pytest.approx(100 - np.mean([50, 65, 75]))
    assert found.p is not None
    assert found.p < 0.001


@pytest.mark.parametrize("spoil", ["missing", "other images", "other numbers"])
def test_predictions_that_do_not_fit_give_no_test(spoil, make_report, tmp_path):
    ours = write_run(tmp_path / "ours", make_report("ours"), [True] * 20)
    base = write_run(tmp_path / "base", make_report("base"), [True, False] * 10)
    file = base / "predictions.csv"
    if spoil == "missing":
        file.unlink()
    elif spoil == "other images":
        file.write_text(file.read_text().replace("7.jpg", "x.jpg"))
    else:
        file.write_text(file.read_text().replace("?", "b", 1).replace("a,b", "a,a", 1))
    comparison = compare(read_runs([ours, base]), baseline="base")
    found = comparison.tables[0].rows[0].differences["top1"]
    assert (found.value, found.p) == (50.0, None)
    assert "is not tested, for their runs do not share 3 seeds" in comparison.notes[0]


def test_a_column_named_after_a_metric_is_paired_by_image(make_report, tmp_path):
    places = []
    for name, scores in (("ours", (90.0, 80.0, 100.0, 70.0)), ("base", (60.0, 50.0, 90.0, 40.0))):
        mean = float(np.mean(scores))
        save_report(make_report(name, metrics={"ap": mean}, primary="ap"), tmp_path / name / "report.json")
        lines = "".join(f"{i}.jpg,x,{score}\n" for i, score in enumerate(scores))
        (tmp_path / name / "predictions.csv").write_text(f"path,label,ap\n{lines}")
        places.append(tmp_path / name)
    found = compare(read_runs(places), baseline="base").tables[0].rows[0].differences["ap"]
    assert (found.value, found.test) == (25.0, "paired bootstrap, 4 images")


def test_a_detectors_scores_are_paired_by_the_draws_of_photos_that_its_task_scored(make_report, tmp_path):
    noise = np.random.default_rng(0)
    shared = noise.normal(50, 8, (300, 1))  # how hard a draw is, for both
    places = []
    for name, mean in (("ours", 55.0), ("base", 50.0)):
        save_report(make_report(name, metrics={"AP": mean}, primary="AP"), tmp_path / name / "report.json")
        rows = shared + mean - 50 + noise.normal(0, 1, (300, 1))
        write_resamples(tmp_path / name / "resamples.csv", 40, ["AP"], rows)
        places.append(tmp_path / name)
    found = compare(read_runs(places), baseline="base").tables[0].rows[0].differences["AP"]
    assert (found.value, found.test) == (5.0, "paired bootstrap, 300 draws of test images")
    assert (found.low, found.high) == pytest.approx((5 - 1.96 * 2**0.5, 5 + 1.96 * 2**0.5), abs=0.6)
    assert found.p < 0.02
    write_resamples(places[0] / "resamples.csv", 41, ["AP"], shared)  # of other photos
    assert compare(read_runs(places), baseline="base").tables[0].rows[0].differences["AP"].p is None


def test_resamples_read_back_as_written_and_broken_ones_not_at_all(tmp_path):
    file = tmp_path / "resamples.csv"
    assert read_resamples(file) is None
    write_resamples(file, 7, ["AP", "AP50"], np.array([[1.5, 2.0], [3.0, 4.25]]))
    found = read_resamples(file)
    assert found is not None
    assert found.values["AP50"].tolist() == [2.0, 4.25]
    assert len(set(found.draws)) == 2
    file.write_text(file.read_text()[:-8])
    assert read_resamples(file) is None


@pytest.mark.parametrize(
    ("task", "test"),
    [(knn, "exact McNemar, 9 images"), (retrieval, "paired bootstrap, 9 images")],
    ids=["knn", "retrieval"],
)
def test_what_the_tasks_leave_beside_their_reports_is_enough_to_pair_two_encoders(
    task, test, encoder, colours, tmp_path
):
    other = copy.deepcopy(encoder)
    other.origin = replace(encoder.origin, name="other")
    with torch.no_grad():
        other.backbone.conv1.weight.neg_()
    for name, measured in (("ours", encoder), ("other", other)):
        task().run(measured, colours, tmp_path / name)
    (table,) = compare(read_runs([tmp_path / "ours", tmp_path / "other"]), baseline="other").tables
    row = next(row for row in table.rows if row.differences)
    assert row.differences[table.primary].test == test
    assert all(
        found.p is not None for name, found in row.differences.items() if not name.startswith(("top1_k", "top1_T"))
    )
