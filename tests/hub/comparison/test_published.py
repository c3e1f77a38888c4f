import csv
import json

import pytest

from goodviews.hub.comparison import files as compare_files
from goodviews.hub.comparison.published import STATUS, find_published, read_published
from goodviews.hub.comparison.rows import Run
from goodviews.hub.comparison.tables import compare
from goodviews.hub.reports.report import Protocol, save_report
from goodviews.transfer import commands
from goodviews.transfer.registry import TASKS

IMAGENET = {"name": "imagenet", "digest": "d", "classes": 1000, "train_images": 1281167, "test_images": 50000}


@pytest.fixture
def imagenet_runs(make_report):
    protocol = TASKS["linear-pycontrast"]().protocol
    reports = [
        make_report(name, top1, dataset=IMAGENET, protocol=protocol)
        for name, top1 in (("ours", 69.0), ("random:resnet50@0", 4.0))
    ]
    return [Run(name, report) for name, report in zip("ab", reports)]


def test_every_published_number_says_how_it_is_known():
    for table in read_published():
        assert table.rows, table.protocol
        for row in table.rows:
            assert row.source, row
            assert set(row.marks) == set(row.values) <= set(table.metrics), row
            assert set(row.marks.values()) <= set(STATUS), row
            assert all(0 < value < 100 for value in row.values.values()), row


def test_published_tables_of_our_tasks_measure_what_the_tasks_measure():
    ours = {task.name: task for task in (make() for make in TASKS.values())}
    named = [table for table in read_published() if table.task]
    assert len({table.task for table in named}) == len(named) >= 5
    for table in named:
        task = ours[table.task]
        assert task.primary in table.metrics
        settings = task.protocol.settings
        assert {name: settings.get(name) for name in table.settings} == table.settings, table.protocol
        assert table.dataset


def test_infomin_and_clsa_are_as_their_repositories_say():
    values = {
        (table.task, row.pretraining, row.architecture): row.values["top1"]
        for table in read_published()
        for row in table.rows
        if "top1" in row.values
    }
    assert values["linear-pycontrast", "InfoMin, 200 epochs", "ResNet-50"] == 70.1
    assert values["linear-clsa", "CLSA, one strong crop, 200 epochs", "ResNet-50"] == 69.4


def test_published_rows_stand_beside_ours_and_change_none_of_them(imagenet_runs, tmp_path):
    plain, comparison = compare(imagenet_runs), compare(imagenet_runs, published=True)
    assert comparison.tables[0].rows == plain.tables[0].rows
    assert comparison.tables[0].published.rows[0].pretraining == "InfoMin, 200 epochs"  # ResNeXt-152, 75.2
    assert plain.tables[0].published is None
    out = compare_files.write(comparison, tmp_path / "out")
    page, text = (out / "comparison.html").read_text(), (out / "comparison.md").read_text()
    for content in (page, text):
        assert "Published, not measured here" in content
        assert "87.9 (unverified)" in content
    assert "| MoCo v2, 200 epochs | ResNet-50 | 67.5 |  | published |" in text
    held = json.loads((out / "comparison.json").read_text())
    assert held["tables"][0]["published"]["task"] == "linear-pycontrast"


def test_published_numbers_have_a_column_of_their_own(imagenet_runs, tmp_path):
    out = compare_files.write(compare(imagenet_runs, published=True), tmp_path / "out")
    with (out / "comparison.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert all((line["value"] == "") != (line["published"] == "") for line in lines)
    assert {line["status"] for line in lines if line["value"]} == {"measured"}
    assert {line["status"] for line in lines if line["published"]} == set(STATUS.values())


@pytest.mark.parametrize(
    ("task", "dataset", "protocol", "reason"),
    [
        ("knn", {}, {}, "none are known of the protocol knn"),
        ("linear-moco", {"classes": 5}, {}, "classes is 5, there 1000"),
        ("linear-moco", {}, {"epochs": 3}, "epochs is 3, there 100"),
        ("linear-moco [epochs=3]", {}, {}, "none are known"),
    ],
    ids=["task", "data", "settings", "changed task"],
)
def test_other_measurements_get_no_published_rows_and_a_reason(task, dataset, protocol, reason):
    settings = {**TASKS["linear-moco"]().protocol.settings, **protocol}
    found = find_published(Protocol(task, 1, settings), {**IMAGENET, **dataset})
    assert isinstance(found, str)
    assert reason in found


def test_another_engine_is_reported(make_report):
    task = TASKS["voc-detection"]()
    report = make_report(
        dataset={"name": "VOC", "classes": 20, "train_images": 16551, "test_images": 4952},
        metrics={"AP50": 80.0, "AP": 55.0, "AP75": 60.0},
        primary="AP50",
        protocol=task.protocol,
        engine="torchvision 0.24",
    )
    comparison = compare([Run("a", report)], published=True)
    assert comparison.tables[0].published is not None
    assert comparison.notes == (
        "voc07+12-c4-24k on VOC: the published results were measured with detectron2, ours with torchvision 0.24.",
    )


def test_the_command_prints_published_rows_apart_from_ours(imagenet_runs, tmp_path, capsys):
    for run in imagenet_runs:
        save_report(run.report, tmp_path / run.source / "report.json")
    commands.compare([tmp_path / "a", tmp_path / "b"], out=tmp_path / "out", published=True)
    printed = capsys.readouterr().out
    assert "Published, not measured here" in printed
    assert "InstDis" in printed
