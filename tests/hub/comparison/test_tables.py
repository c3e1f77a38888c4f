import csv
import json
import math

import pytest

from goodviews.hub.comparison import files as compare_files
from goodviews.hub.comparison.rows import Run, Value
from goodviews.hub.comparison.tables import compare, read_runs
from goodviews.hub.errors import DataError, OutputExists, UsageError
from goodviews.hub.reports.report import Protocol, save_report


def runs(*reports):
    return [Run(f"run{i}/report.json", report) for i, report in enumerate(reports)]


def test_encoders_of_one_protocol_share_a_table_best_first(make_report):
    comparison = compare(runs(make_report("weak", 30.0), make_report("strong", 70.0)))
    (table,) = comparison.tables
    assert [row.encoder for row in table.rows] == ["strong", "weak"]
    assert table.rows[0].values["top1"] == Value(70.0, 61.0, 79.0)
    assert comparison.notes == ()


def test_lower_is_better_turns_the_order_round(make_report):
    reports = [make_report("a", 30.0, higher_is_better=False), make_report("b", 70.0, higher_is_better=False)]
    assert [row.encoder for row in compare(runs(*reports)).tables[0].rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"protocol": Protocol("knn", 1, {"k": 5})}, "k (20 / 5)"),
        ({"protocol": Protocol("knn", 2, {"k": 20})}, "version (1 / 2)"),
        ({"dataset": {"name": "flowers", "digest": "d2", "test_images": 100}}, "data: digest (d1 / d2)"),
        ({"engine": "detectron2 0.6"}, "engine (torch 2.9 / detectron2 0.6)"),
        ({"task": "linear"}, "linear on flowers"),
    ],
    ids=["settings", "version", "data", "engine", "task"],
)
def test_what_was_measured_differently_never_shares_a_table(make_report, changes, remark):
    comparison = compare(runs(make_report("a"), make_report("b"), make_report("c", **changes)))
    assert sorted(len(table.rows) for table in comparison.tables) == [1, 2]
    notes = " ".join(comparison.notes)
    assert "cannot be compared" in notes
    assert remark in notes


def test_other_name_or_release_is_still_the_same_measurement(make_report):
    moved = make_report("b", dataset={"name": "copy", "digest": "d1", "test_images": 100}, engine="torch 2.10")
    assert len(compare(runs(make_report("a"), moved)).tables) == 1


def test_seeds_become_a_mean_with_the_t_interval_worked_by_hand(make_report):
    reports = [make_report("ours", top1, seed=seed) for seed, top1 in enumerate((50.0, 52.0, 57.0))]
    (row,) = compare(runs(*reports)).tables[0].rows
    half = 4.302653 * math.sqrt((9 + 1 + 16) / 2) / math.sqrt(3)  # mean 53, deviations -3, -1, 4
    assert row.values["top1"].mean == pytest.approx(53.0)
    assert row.values["top1"].low == pytest.approx(53 - half)
    assert row.interval == "95 % t, 3 seeds"


def test_random_initialisations_are_one_encoder_and_seeds_within_one_do_not_count_twice(make_report):
    reports = [
        make_report("random:resnet18@0", 20.0, seed=0),
        make_report("random:resnet18@0", 22.0, seed=1),
        make_report("random:resnet18@1", 25.0, seed=0),
    ]
    (row,) = compare(runs(*reports)).tables[0].rows
    assert row.encoder == "random:resnet18"
    assert row.values["top1"].mean == pytest.approx(23.0)
    assert row.interval == "95 % t, 2 initialisations"


def test_seed_that_changes_nothing_leaves_one_measurement(make_report):
    comparison = compare(runs(make_report(seed=0), make_report(seed=1)))
    (row,) = comparison.tables[0].rows
    assert row.values["top1"] == Value(50.0, 41.0, 59.0)
    assert "the seed does not change the result of ours" in comparison.notes[0]


def test_same_run_given_twice_counts_once_and_is_reported(make_report):
    comparison = compare(runs(make_report(top1=50.0), make_report(top1=60.0)))
    assert comparison.tables[0].rows[0].values["top1"].mean == 50.0
    assert "measured twice with seed 0; run0/report.json (50.00) counts" in comparison.notes[0]


def test_one_name_with_other_weights_is_two_encoders(make_report):
    comparison = compare(runs(make_report(weights="a" * 64), make_report(weights="b" * 64)))
    assert {row.encoder for row in comparison.tables[0].rows} == {"ours (aaaaaaaa)", "ours (bbbbbbbb)"}


def test_baseline_gives_differences_where_it_was_measured(make_report):
    elsewhere = make_report("ours", 80.0, task="linear")
    comparison = compare(
        runs(make_report("ours", 60.0), make_report("random:resnet18@0", 25.0), elsewhere), baseline="random:resnet18@0"
    )
    knn, linear = comparison.tables
    assert knn.rows[0].differences["top1"].value == 35.0
    assert knn.rows[1].differences == linear.rows[0].differences == {}
    assert any("the difference of ours to random:resnet18 is not tested" in note for note in comparison.notes)
    assert any("linear on flowers: the baseline random:resnet18 was not measured" in note for note in comparison.notes)
    with pytest.raises(UsageError, match="No encoder in these reports is called theirs; there are ours"):
        compare(runs(make_report()), baseline="theirs")


def test_files_hold_the_same_numbers_and_the_page_needs_nothing_else(make_report, tmp_path):
    reports = [make_report("ours", 61.5), make_report("<b>|odd", 20.25), make_report("ours", 70.0, task="linear")]
    out = compare_files.write(compare(runs(*reports), baseline="ours"), tmp_path / "out")
    names = {".goodviews", "comparison.json", "comparison.csv", "comparison.md", "comparison.html", "plot.png"}
    assert {path.name for path in out.iterdir()} == names
    held = json.loads((out / "comparison.json").read_text())
    assert held["tables"][0]["rows"][0]["values"]["top1"]["mean"] == 61.5
    with (out / "comparison.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["metric"] == "top1"]
    assert [float(line["value"]) for line in lines] == [61.5, 20.25, 70.0]
    page = (out / "comparison.html").read_text()
    assert "61.5 [52.5, 70.5]" in page
    assert "&lt;b&gt;|odd" in page
    assert "http" not in page
    assert r"\<b\>\|odd" in (out / "comparison.md").read_text()
    with pytest.raises(OutputExists):
        compare_files.write(compare(runs(*reports)), out)


def test_reports_are_found_in_runs_files_and_encoder_folders(make_report, tmp_path):
    save_report(make_report("a"), tmp_path / "run" / "report.json")
    save_report(make_report("b"), tmp_path / "encoder" / "reports" / "knn.json")
    found = read_runs([tmp_path / "run", tmp_path / "run" / "report.json", tmp_path / "encoder"])
    assert [run.source for run in found] == ["run/report.json", "run/report.json", "reports/knn.json"]


def test_bad_reports_are_refused(make_report, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_runs([tmp_path / "nothing"])
    with pytest.raises(DataError, match="holds no report"):
        read_runs([tmp_path])
    other = tmp_path / "other.json"
    other.write_text('{"format": 99}')
    with pytest.raises(DataError, match="99 for format, which must be 2 in a report of this goodviews"):
        read_runs([other])
    save_report(make_report(metrics={"top5": 1.0}), tmp_path / "lacking.json")
    with pytest.raises(DataError, match=r"top1.* for primary, which must be the name of one of the metrics"):
        read_runs([tmp_path / "lacking.json"])
    save_report(make_report(dataset=["flowers"]), tmp_path / "list.json")
    with pytest.raises(DataError, match="for dataset, which must be an object"):
        read_runs([tmp_path / "list.json"])
    with pytest.raises(DataError, match="no report to compare"):
        compare([])
