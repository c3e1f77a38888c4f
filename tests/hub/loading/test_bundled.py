"""goodviews:mini, the encoder that ships: whole, small, without a network, on terms of its own."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from goodviews.hub import check, from_pretrained
from goodviews.hub.cli import run
from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.loading.bundled import BUNDLED
from goodviews.hub.reports.report import Evidence, Protocol, Report, save_report

from ...scripts import load_script


def test_it_loads_by_its_name_and_is_sound():
    encoder = from_pretrained("goodviews:mini")
    assert encoder.source == "goodviews:mini"
    assert check(BUNDLED["mini"]) == []


def test_it_takes_at_most_eight_megabytes():
    assert sum(file.stat().st_size for file in BUNDLED["mini"].rglob("*")) <= 8e6


def test_its_terms_are_named_in_the_folder_and_apart_from_the_codes():
    encoder = from_pretrained("goodviews:mini")
    assert encoder.origin.licence == "LicenseRef-ImageNet-research"
    assert "research" in (BUNDLED["mini"] / "LICENSE").read_text("utf-8")


def test_another_name_is_refused_with_those_that_ship():
    with pytest.raises(UsageError, match="there is goodviews:mini"):
        from_pretrained("goodviews:maxi")


def test_the_command_line_knows_it(capsys):
    run(["hub", "info", "goodviews:mini"])
    assert "resnet18" in capsys.readouterr().out


@pytest.fixture(scope="module")
def bundling() -> ModuleType:
    script = Path(__file__).parents[3] / "docs" / "results" / "bundle_mini.py"
    if not script.is_file():
        pytest.skip("the scripts of the results lie in the repository only")
    return load_script(script)


@pytest.mark.parametrize("layout", ["runs", "page", "files"])
def test_its_reports_go_into_its_card_by_one_command_and_those_of_others_stay_out(
    layout: str, bundling: ModuleType, tmp_path: Path
):
    mini = shutil.copytree(BUNDLED["mini"], tmp_path / "mini", ignore=shutil.ignore_patterns("reports"))
    own = from_pretrained(str(mini)).report_id()
    for name, encoder, score in (("mini", own, 61.25), ("random", replace(own, weights_sha256="0" * 64), 29.5)):
        report = Report(
            protocol=Protocol("knn", 1, {"k": 20}),
            encoder=encoder,
            dataset={"name": "tiny", "classes": 2, "test_images": 8},
            metrics={"top1": score},
            primary="top1",
            description={"metric": "top-1 accuracy, %"},
            engine="torch 2.9",
            seed=0,
            evidence=Evidence("goodviews transfer knn", "1.0", None, "a processor", {}, "2026-01-01", 1.0),
        )
        places = {"runs": f"{name}/report.json", "page": f"reports/{name}.json", "files": f"{name}.json"}
        file = tmp_path / "measured" / places[layout]
        file.parent.mkdir(parents=True, exist_ok=True)
        save_report(report, file)
    for _ in range(2):  # again changes nothing
        bundling.attach(tmp_path / "measured", to=mini)
        assert len(list((mini / "reports").iterdir())) == 1
    card = (mini / "README.md").read_text("utf-8")
    assert "61.2" in card
    assert "29.5" not in card
    assert check(mini) == []
    before, after = (sum(file.stat().st_size for file in one.rglob("*")) for one in (BUNDLED["mini"], mini))
    assert after - before < 100_000
    with pytest.raises(DataError, match="holds no report"):
        bundling.attach(BUNDLED["mini"].parent / "photos", to=mini)
