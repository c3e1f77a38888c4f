import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from goodviews.hub import ArtifactError, DataError, OutputExists, check, from_pretrained, save
from goodviews.hub.attach import attach_reports, attached_reports
from goodviews.hub.cli import main
from goodviews.hub.reports.report import Evidence, Protocol, Report, save_report


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return save(from_pretrained("random:resnet18-32px@0"), tmp_path_factory.mktemp("attach") / "encoder")


@pytest.fixture
def folder(written, tmp_path) -> Path:
    return shutil.copytree(written, tmp_path / "encoder")


@pytest.fixture(scope="module")
def report() -> Report:
    return Report(
        protocol=Protocol("knn", 1, {"k": 20, "also_k": (1, 5)}),
        encoder=from_pretrained("random:resnet18-32px@0").report_id(),
        dataset={"name": "flowers|5", "digest": "d1"},
        metrics={"top1": 47.254, "top1_low": 40.0, "top1_high": 54.0},
        primary="top1",
        description={"metric": "top-1 accuracy, %"},
        engine="torch 2.9",
        seed=0,
        evidence=Evidence(hardware="abacus", commit="abc1234"),
    )


def test_attached_results_stand_in_the_folder_and_on_its_card(folder, report):
    (folder / "reports").mkdir()
    (folder / "reports" / "note.txt").write_text("keep me")
    other_seed = replace(report, seed=1, metrics={"top1": 50.0})
    files = attach_reports(folder, [report, other_seed])
    assert [json.loads(file.read_text())["seed"] for file in files] == [0, 1]
    card = (folder / "README.md").read_text()
    line = r"| knn | flowers\|5 | top-1 accuracy, % | 47.25 | 40.0 to 54.0 | 0 | torch 2.9 | abacus | abc1234 |"
    assert line in card
    assert "| 50.00 |  | 1 |" in card
    assert "Nothing has been measured" not in card
    assert (folder / "reports" / "note.txt").is_file()
    assert check(folder) == []


def test_later_results_join_the_earlier_ones_and_the_same_one_changes_nothing(folder, report):
    attach_reports(folder, [report])
    before = (folder / "README.md").read_text()
    assert attach_reports(folder, [report])[0].is_file()
    assert (folder / "README.md").read_text() == before
    attach_reports(folder, [replace(report, protocol=replace(report.protocol, name="linear"))])
    assert (folder / "README.md").read_text().count("| torch 2.9 |") == 2


def test_results_of_other_weights_are_refused_and_nothing_changes(folder, report):
    before = (folder / "README.md").read_text()
    other = replace(report, encoder=replace(report.encoder, name="theirs", weights_sha256="f" * 64))
    with pytest.raises(ArtifactError, match=r"is of other weights \(theirs, sha256 ffffffffffff"):
        attach_reports(folder, [report, other])
    assert not (folder / "reports").exists()
    assert (folder / "README.md").read_text() == before


def test_another_result_of_the_same_measurement_needs_overwrite(folder, report):
    (file,) = attach_reports(folder, [report])
    again = replace(report, metrics={"top1": 48.0})
    with pytest.raises(OutputExists, match="another result of the same measurement"):
        attach_reports(folder, [again])
    assert json.loads(file.read_text())["metrics"]["top1"] == 47.254
    attach_reports(folder, [again], overwrite=True)
    assert json.loads(file.read_text())["metrics"]["top1"] == 48.0
    assert "| 48.00 |" in (folder / "README.md").read_text()


def test_damaged_folders_and_reports_are_refused(folder, report, tmp_path):
    with pytest.raises(DataError, match="no report to attach"):
        attach_reports(folder, [])
    with pytest.raises(ArtifactError, match="holds no encoder"):
        attach_reports(tmp_path, [report])
    (folder / "reports").mkdir()
    (folder / "reports" / "broken.json").write_text("{")
    with pytest.raises(DataError, match=r"broken\.json is not JSON"):
        attach_reports(folder, [report])
    (folder / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ArtifactError, match="is not the file that config"):
        attach_reports(folder, [report])


def test_check_finds_a_report_that_was_copied_from_another_encoder(folder, report):
    other = replace(report, encoder=replace(report.encoder, weights_sha256="f" * 64))
    save_report(other, folder / "reports" / "copied.json")
    assert check(folder) == ["reports/copied.json is of other weights."]


def test_the_command_attaches_run_folders(folder, report, tmp_path, capsys):
    save_report(report, tmp_path / "run" / "report.json")
    main(["hub", "attach", str(folder), str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert "knn, top1 47.25" in printed
    assert str(folder / "README.md") in printed


def test_a_result_attached_in_an_older_format_is_the_same_measurement(folder, report):
    attach_reports(folder, [report])
    (file,) = (folder / "reports").glob("*.json")
    content = json.loads(file.read_text())
    protocol = {**content.pop("protocol")["settings"], **content.pop("description")}
    file.unlink()
    (folder / "reports" / "named-before.json").write_text(
        json.dumps({**content, "format": 1, "task": report.task, "protocol": protocol})
    )
    assert attach_reports(folder, [report]) == [folder / "reports" / "named-before.json"]
    with pytest.raises(OutputExists, match=r"named-before\.json exists already"):
        attach_reports(folder, [replace(report, metrics={"top1": 50.0})])


def test_two_that_attach_at_once_lose_no_report(folder, report):
    others = [replace(report, seed=seed) for seed in range(6)]
    threads = [threading.Thread(target=attach_reports, args=(folder, [other])) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attached_reports(folder)) == 6
    assert check(folder) == []
    assert not list(folder.parent.glob(".*"))
