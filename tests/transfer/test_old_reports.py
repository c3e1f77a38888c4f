"""Reports that goodviews wrote in format 1, and runs of today with the same tasks: they share a column.

Each file of old_reports/ was written by the code of commit 0f306af from a run of the case it is named after.
"""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from goodviews.hub.onnx_encoder import OnnxEncoder
from goodviews.hub.reports.old_reports import as_today
from goodviews.hub.reports.report import Report, load_report
from goodviews.transfer.registry import find_task
from goodviews.transfer.task import Setup

OLD = Path(__file__).parent / "old_reports"
QUICK_DETECTOR = ("iterations=2", "lr_steps=[1]", "precise_bn_iterations=1", "batch_size=2")
# Settings that were wrong: the rate was not scaled to the smaller batch. Reports of before and of today stand apart.
PUT_RIGHT = {"voc-detection-smoke": {"lr"}}


@dataclass(frozen=True)
class Case:
    """A run: a task, what is changed of it, and its data ("colours" or "devkit", fixtures)."""

    name: str
    task: str
    changes: tuple[str, ...] = ()
    data: str = "colours"
    batch_size: int | None = None
    is_exported: bool = False


CASES = (
    Case("knn", "knn"),
    Case("linear", "linear"),
    Case("linear-of-unit-vectors", "linear", is_exported=True),
    Case("linear-cached", "linear-cached", ("epochs=2", "lr=[1.0]")),
    Case("linear-moco", "linear-moco", ("epochs=1",), batch_size=6),
    Case("few-shot", "few-shot-5way-1shot", ("ways=3", "queries=3", "episodes=5")),
    Case("retrieval", "retrieval"),
    Case("finetune", "finetune", ("epochs=1",), batch_size=6),
    Case("finetune-drawn", "finetune-10pct", ("epochs=1",)),
    Case("finetune-listed", "finetune-1pct", ("epochs=1", "labelled=LIST")),
    Case("voc07-map", "voc07-map", data="devkit"),
    Case("voc07-clsa", "voc07-clsa", ("px=32", "test_short_side_px=36", "epochs=1", "batch_size=4"), data="devkit"),
    Case("voc-detection", "voc-detection-smoke", QUICK_DETECTOR, data="devkit"),
)


def measure(case: Case, encoder, data: Path, out: Path) -> Report:
    """Run a case; 1percent.txt beside the data is its list of labelled images."""
    listing = data.parent / "1percent.txt"
    if case.data == "colours":
        for path in data.glob("train/*/*.png"):
            path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
        listing.write_text("red_0.png\nblue_3.png\ngreen_1.png\n")
    else:
        lists = data / "VOC2007" / "ImageSets" / "Main"
        names = (lists / "trainval.txt").read_text().splitlines(keepends=True)
        (lists / "train.txt").write_text("".join(names[:4]))
        (lists / "val.txt").write_text("".join(names[4:]))
    task = find_task(case.task).with_changes([change.replace("LIST", str(listing)) for change in case.changes])
    setup = Setup(batch_size=case.batch_size, engine="torchvision")
    return task.run(encoder, data, out, setup=setup)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_run_of_today_shares_a_column_with_one_in_format_1(case, encoder, request, tmp_path):
    data = request.getfixturevalue(case.data)
    if case.is_exported:
        encoder = OnnxEncoder(request.getfixturevalue("exported"))
    new, old = measure(case, encoder, data, tmp_path / "run"), load_report(OLD / f"{case.name}.json")
    assert json.loads((OLD / f"{case.name}.json").read_text())["format"] == 1
    same_data = replace(new, dataset=old.dataset)  # the digest of pictures hangs on the library that compressed them
    right = PUT_RIGHT.get(case.task, set())
    assert _without(same_data, right).column == _without(old, right).column
    assert right == set() or same_data.column != old.column
    assert old.description.keys() <= same_data.description.keys()
    assert load_report(tmp_path / "run" / "report.json").column == new.column


def _without(report: Report, settings: set[str]) -> Report:
    kept = {name: value for name, value in report.protocol.settings.items() if name not in settings}
    return replace(report, protocol=replace(report.protocol, settings=kept))


PUBLISHED = [
    file
    for file in sorted((Path(__file__).parents[2] / "docs" / "results").glob("*/reports/*.json"))
    if json.loads(file.read_text("utf-8"))["format"] == 1
]
needs_a_clone = pytest.mark.skipif(not PUBLISHED, reason="runs in a clone: it reads docs/results")


def old_key(content: dict) -> str:
    """What decided columns in format 1."""
    data = {name: value for name, value in content["dataset"].items() if name != "name"}
    library = content["engine"].partition(" ")[0]
    parts = [content["task"], content["protocol"], data, library, content["primary"], content["higher_is_better"]]
    return json.dumps(parts, sort_keys=True)


@needs_a_clone
def test_published_reports_stand_in_the_columns_they_stood_in():
    before, after = defaultdict(set), defaultdict(set)
    for file in PUBLISHED:
        before[old_key(json.loads(file.read_text()))].add(file)
        after[load_report(file).column].add(file)
    assert sorted(map(sorted, before.values())) == sorted(map(sorted, after.values()))
    assert len(before) > 3


@needs_a_clone
def test_runs_of_today_would_join_the_columns_of_the_published_reports():
    for file in PUBLISHED:
        report = load_report(file)
        today = find_task(report.task).protocol
        by_the_run = {"processes": 1} if "processes" in report.protocol.settings else {}
        assert by_the_run or report.engine.startswith("torch ")
        today = replace(today, settings={**today.settings, **by_the_run})
        assert replace(report, protocol=today).column == report.column, file.name


def test_every_task_keeps_its_settings_and_they_hold_no_sentence():
    protocols = json.loads(OLD.with_name("protocols_of_format_1.json").read_text())
    assert len(protocols) == 44
    for name, old in protocols.items():
        found = as_today({"task": name, "protocol": old, "engine": "any"})["protocol"]
        task = find_task(name)
        today = json.loads(json.dumps(asdict(task.protocol)))
        for setting in PUT_RIGHT.get(name, ()):
            assert found["settings"].pop(setting) != today["settings"].pop(setting)
        assert found == today, name
        assert not [word for word in found["settings"].values() if isinstance(word, str) and len(word.split()) > 4]
        assert task.description, name


@pytest.fixture
def in_format_1(tmp_path):
    """Writes one of the old reports with a changed protocol, reads it and gives the report."""

    def read(name: str, engine: str | None = None, **protocol: object) -> Report:
        content = json.loads((OLD / f"{name}.json").read_text())
        content["protocol"] |= protocol
        content["engine"] = engine or content["engine"]
        (tmp_path / "report.json").write_text(json.dumps(content))
        return load_report(tmp_path / "report.json")

    return read


def test_a_reworded_sentence_of_format_1_separates_nothing_and_a_setting_does(in_format_1):
    plain = in_format_1("knn")
    assert in_format_1("knn", features="of unit length", interval="by Wilson").column == plain.column
    assert in_format_1("knn", temperature=0.1).column != plain.column
    assert in_format_1("linear").column != in_format_1("linear-of-unit-vectors").column


def test_fine_tunings_on_other_labels_stay_apart(in_format_1):
    chosen = ("all", "5 % of each class, drawn by the seed (not published)", "the list a.txt, sha256 ab12")
    found = [in_format_1("finetune", labelled=sentence) for sentence in chosen]
    assert [report.protocol.settings["labelled"] for report in found] == ["all", "drawn", "ab12"]
    assert [report.description["labelled"] for report in found] == list(chosen)


@pytest.mark.parametrize(
    ("engine", "sentences", "processes"),
    [
        ("detectron2 0.6", ["photos are grouped by aspect ratio in 2 x 8 (published: 8 GPUs with 2 photos)"], 2),
        ("detectron2 0.6", [], 8),
        ("torchvision 0.24", ["grouping by aspect ratio acts on the whole batch"], 1),
    ],
)
def test_the_number_of_processes_is_a_setting(engine, sentences, processes, in_format_1):
    report = in_format_1("voc-detection", engine=engine, differs_from_published=sentences)
    assert report.protocol.settings["processes"] == processes
    assert report.description["differs_from_published"] == sentences


def test_words_of_a_task_of_the_users_own_stay_settings(tmp_path):
    content = json.loads((OLD / "knn.json").read_text())
    content |= {"task": "mine", "protocol": {"metric": "top-1", "fine_tuned": "all", "features": "raw", "k": 3}}
    (tmp_path / "report.json").write_text(json.dumps(content))
    report = load_report(tmp_path / "report.json")
    assert report.protocol.settings == {"features": "raw", "k": 3}
    assert report.description == {"metric": "top-1", "fine_tuned": "all"}
