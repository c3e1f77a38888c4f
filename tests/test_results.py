"""The script that makes a page of results from the files of runs."""

import importlib.util
import json
from pathlib import Path

import pytest

from goodviews.hub.errors import DataError
from goodviews.hub.identity import EncoderId
from goodviews.hub.report import Evidence, Protocol, Report, save_report

SCRIPT = Path(__file__).parents[1] / "docs" / "results" / "write.py"


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("write_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def training(tmp_path):
    folder = tmp_path / "runs" / "ours"
    folder.mkdir(parents=True)
    about = {
        "recipe": {"name": "infomin_tiny", "architecture": "resnet18"},
        "data": {"images": 12},
        "seed": 3,
        "precision": "fp32",
        "commit": "abc1234",
        "command": "goodviews pretrain infomin_tiny --data photos --out ours",
        "hardware": "1 x Processor",
        "libraries": {"torch": "2.9", "torchvision": "0.24", "timm": "1.0"},
    }
    rows = [{"epoch": 0.0, "knn_top1": 30.5}, {"epoch": 2.0, "loss": 5.125, "time_s": 1800.0}]
    (folder / "recipe.json").write_text(json.dumps(about))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0] | {"epoch": 2.0}]))
    return folder


@pytest.fixture
def measured(tmp_path):
    folder = tmp_path / "runs" / "ours-knn"
    folder.mkdir(parents=True)
    report = Report(
        protocol=Protocol("knn", 1, {"k": 20}),
        encoder=EncoderId("infomin_tiny", "resnet18", "0" * 64),
        dataset={"name": "photos", "digest": "d"},
        metrics={"top1": 41.75, "top1_low": 35.0, "top1_high": 48.0},
        primary="top1",
        description={"metric": "top-1 accuracy, %", "interval": "95 % Wilson"},
        engine="torch 2.9",
        seed=0,
        evidence=Evidence(command="goodviews transfer knn --out ours-knn", commit="abc1234"),
    )
    save_report(report, folder / "report.json")
    return folder


def test_a_page_holds_the_scores_the_trainings_and_the_commands_of_the_files(results, training, measured, tmp_path):
    results.write("Tiny", pretrained=[training], measured=[measured], out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert "41.8 [35.0, 48.0]" in page
    assert "| infomin_tiny | resnet18 | 12 | 2 | 3 | 30.5 to 30.5 | 5.125 | 0.50 |" in page
    assert "`goodviews pretrain infomin_tiny --data photos --out ours` on 1 x Processor; commit abc1234" in page
    assert "`goodviews transfer knn --out ours-knn`" in page
    for name in ("scores.png", "trainings.png", "reports/ours-knn.json", "runs/ours/metrics.jsonl"):
        assert (tmp_path / "page" / name).stat().st_size > 0


def test_a_folder_without_losses_is_no_training_yet_and_leaves_no_page(results, training, measured, tmp_path):
    (training / "metrics.jsonl").write_text('{"epoch": 0.0, "knn_top1": 30.5}\n')
    with pytest.raises(DataError, match="no line of losses"):
        results.write("Tiny", pretrained=[training], measured=[measured], out=tmp_path / "page")
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("page", sorted(SCRIPT.parent.glob("*/README.md")), ids=lambda page: page.parent.name)
def test_every_score_of_a_published_page_is_in_the_reports_beside_it(page):
    for file in (page.parent / "reports").glob("*.json"):
        report = json.loads(file.read_text())
        assert report["evidence"]["command"] in page.read_text()
        assert report["evidence"]["commit"], f"{file.name} says no commit"


def test_page_of_speeds_tells_what_the_benchmarks_wrote(tmp_path):
    spec = importlib.util.spec_from_file_location("write_speeds", SCRIPT.with_name("speed.py"))
    speeds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(speeds)
    evidence = {"hardware": "1 x Processor", "commit": "abc1234"}
    ways = {"published": 1.0, "decode_crop": 2.0, "worker_share": 5.25, "all_on_cpu": 1.5}
    loader = {
        "images_per_cpu_second": {way: 40 * ratio for way, ratio in ways.items()},
        "ratio_to_published": ways,
        "rounds": 3,
        "source": {"images": 7},
        "median_pixels": 307200,
        "decoder": "simplejpeg",
        **evidence,
    }
    loop = {"architecture": "resnet50", "px": 96, "batch_size": 32, "step_s": 7.5, "overhead": 0.011, **evidence}
    loop |= {"overheads": [0.01, 0.012], "precision": "fp32", "threads": 1, "workers": 1}
    (tmp_path / "loader.json").write_text(json.dumps({"infomin_200": loader}))
    (tmp_path / "loop.json").write_text(json.dumps(loop))
    speeds.write(loader=tmp_path / "loader.json", loop=tmp_path / "loop.json", out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert "| infomin_200 | ours, a loader worker's share where a GPU renders the views | 210.0 | 5.25 | 3 |" in page
    assert "7 photos of 0.31 million pixels (median), decoded by simplejpeg; 1 x Processor, commit abc1234" in page
    assert "| resnet50 | 96 | 32 | 7.50 | 1.10 | 1.00 to 1.20 | 2 |" in page
    assert json.loads((tmp_path / "page" / "loop.json").read_text()) == loop
