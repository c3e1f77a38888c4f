"""The script that makes a page of results from the files of runs."""

import importlib.util
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from goodviews.hub.comparison.cells import cells, control_cells, headings
from goodviews.hub.comparison.tables import compare, read_runs
from goodviews.hub.errors import DataError
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import Evidence, Protocol, Report, save_report

SCRIPT = Path(__file__).parents[1] / "docs" / "results" / "write.py"


@pytest.fixture(scope="module")
def results():
    return load(SCRIPT)


@pytest.fixture(scope="module")
def speeds():
    return load(SCRIPT.with_name("speed.py"))


@pytest.fixture(scope="module")
def adapting():
    return load(SCRIPT.with_name("adapt.py"))


def load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script.stem, script)
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
    for name in ("scores.png", "trainings.png", "reports/ours-knn.json", "trainings/ours/metrics.jsonl"):
        assert (tmp_path / "page" / name).stat().st_size > 0


def test_a_folder_without_losses_is_no_training_yet_and_leaves_no_page(results, training, measured, tmp_path):
    (training / "metrics.jsonl").write_text('{"epoch": 0.0, "knn_top1": 30.5}\n')
    with pytest.raises(DataError, match="no line of losses"):
        results.write("Tiny", pretrained=[training], measured=[measured], out=tmp_path / "page")
    assert not (tmp_path / "page").exists()


PAGES = sorted(file.parent for file in SCRIPT.parent.glob("*/README.md"))
SCORED = [page for page in PAGES if (page / "reports").is_dir()]


@dataclass(frozen=True)
class PageTable:
    """A Markdown table of a page, and the heading above it; of scores with the engine that stands between them."""

    name: str
    headings: list[str]
    rows: list[list[str]]


def read_tables(text: str) -> list[PageTable]:
    tables, name, is_inside = [], "", False
    for line in text.splitlines():
        if line.startswith("## "):
            name = line.removeprefix("## ")
        elif line.startswith("Data: "):
            name += f", {line.rpartition('Engine: ')[2].removesuffix('.')}"
        elif line.startswith("|"):
            row = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not is_inside:
                tables.append(PageTable(name, row, []))
            elif not set("".join(row)) <= set("-:"):
                tables[-1].rows.append(row)
        is_inside = line.startswith("|")
    return tables


def tables_of_the_files(page: Path, results) -> list[PageTable]:
    """What the tables of a page of scores must hold: from the reports, and from page.json where they do not suffice."""
    runs, beside = read_runs(sorted((page / "reports").glob("*.json"))), json.loads((page / "page.json").read_text())
    tables = []
    for table in compare(runs, baseline=beside["baseline"]).tables:
        name, rows = f"{table.title}, {table.engine}", {row.encoder: cells(table, row) for row in table.rows}
        if table.baseline:
            first = headings(table).index(f"against {table.baseline}")
            for encoder, row in rows.items():
                told = beside["differences"][name][encoder]
                is_tested_by_seeds = row[first + 1] != ""
                assert told[0].partition(" ")[0] == row[first].partition(" ")[0], f"{name}: {encoder}"
                assert not is_tested_by_seeds or told == row[first : first + 3], f"{name}: {encoder}"
                row[first : first + 3] = told
        controls = [control_cells(table, control) for control in table.controls]
        tables.append(PageTable(name, headings(table), [*rows.values(), *controls]))
    if beside["trainings"]:
        tables.append(PageTable("Trainings", list(results.TRAINING_HEADINGS), beside["trainings"]))
    evidence = [results.evidence_cells(run) for run in runs]
    return [*tables, PageTable("Evidence", list(results.EVIDENCE_HEADINGS), evidence)]


def in_any_order(tables: list[PageTable]) -> list[PageTable]:
    return sorted((replace(table, rows=sorted(table.rows)) for table in tables), key=lambda table: table.name)


@pytest.mark.parametrize("page", SCORED, ids=lambda page: page.name)
def test_every_score_of_a_published_page_is_in_the_reports_beside_it(page, results):
    found = read_tables((page / "README.md").read_text())
    assert in_any_order(found) == in_any_order(tables_of_the_files(page, results))
    assert len(found) > 1
    assert all(read.report.evidence.commit for read in read_runs((page / "reports").glob("*.json")))


@pytest.mark.parametrize("page", SCORED, ids=lambda page: page.name)
def test_a_wrong_number_anywhere_in_the_tables_of_a_page_is_noticed(page, results):
    text, wanted = (page / "README.md").read_text(), in_any_order(tables_of_the_files(page, results))
    lines = text.splitlines()
    random = np.random.default_rng(0)
    for place in [place for place, line in enumerate(lines) if line.startswith("|") and "---" not in line]:
        digits = [match.start() for match in re.finditer(r"\d", lines[place])]
        if not digits:
            continue
        at = int(random.choice(digits))
        line = lines[place][:at] + str((int(lines[place][at]) + 1) % 10) + lines[place][at + 1 :]
        planted = "\n".join([*lines[:place], line, *lines[place + 1 :]])
        assert in_any_order(read_tables(planted)) != wanted, line


def test_a_wrong_score_in_a_report_is_noticed_too(results, tmp_path):
    page = shutil.copytree(SCORED[1], tmp_path / "page")
    (report, *_) = sorted((page / "reports").glob("*.json"))
    content = json.loads(report.read_text())
    content["metrics"][content["primary"]] += 3
    report.write_text(json.dumps(content))
    try:
        wanted = in_any_order(tables_of_the_files(page, results))
    except AssertionError:  # the difference to the baseline is another
        return
    assert in_any_order(read_tables((page / "README.md").read_text())) != wanted


def test_the_tables_of_the_page_of_speeds_are_made_of_the_figures_beside_it(speeds):
    page = SCRIPT.parent / "speed"
    loader, loop = (json.loads((page / name).read_text()) for name in ("loader.json", "loop.json"))
    found = read_tables((page / "README.md").read_text())
    assert found == read_tables(f"{speeds._loader(loader)}\n{speeds._loop(loop)}")
    assert len(found) == 2


def test_page_of_speeds_tells_what_the_benchmarks_wrote(speeds, tmp_path):
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


GAIN = {
    "data": "flowers",
    "photos": 2000,
    "test_photos": 500,
    "encoder": {"parent": "mini (weights 0123)", "architecture": "resnet18"},
    "recipe": {"name": "moco_v2_adapt", "epochs": 10},
    "start": 48.75,
    "runs": [
        {"seed": 0, "core_minutes": 3.0, "top1": 52.0, "won": 40, "lost": 24, "p": 0.06},
        {"seed": 1, "core_minutes": 4.0, "top1": 51.0, "won": 40, "lost": 29, "p": 0.2},
    ],
    "gain": 2.75,
    "over_seeds": [-3.6, 9.1],
    "over_photos_and_seeds": [0.21, 5.3],
    "evidence": {
        "command": "adapt_gain.py --init mini",
        "commit": "abc1234",
        "hardware": "2 x Processor",
        "precision": "bf16",
        "libraries": {"torch": "2.9", "torchvision": "0.24", "timm": "1.0"},
    },
}


def test_page_on_adapting_tells_what_the_benchmark_wrote_and_what_was_tried(adapting, tmp_path):
    trial = tmp_path / "trial"
    trial.mkdir()
    jitter = {"type": "ColorJitter", "brightness": 0.2}
    recipe = {
        "optimizer": {"lr": 0.03},
        "schedule": {"warmup_epochs": 1},
        "epochs": 10,
        "views": [{"crop": {"scale": [0.4, 1.0]}, "program": [jitter]}],
    }
    parent = "mini (weights 0123456789)"
    about = {"recipe": recipe, "parent": parent, "seed": 0, "precision": "bf16", "hardware": "1 x Processor"}
    (trial / "recipe.json").write_text(
        json.dumps(about | {"data": {"images": 2000, "classes": ["daisy", "rose", "tulip"]}})
    )
    rows = [{"epoch": 0.0, "knn_top1": 48.8}, {"epoch": 1.0, "loss": 5.0}, {"epoch": 3.0, "knn_top1": 51.25}]
    (trial / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "gain.json").write_text(json.dumps(GAIN))
    adapting.write(gains=[tmp_path / "gain.json"], tried=[trial], out=tmp_path / "earlier")
    adapting.write(gains=[tmp_path / "gain.json"], tried=[tmp_path / "earlier" / "tried.json"], out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert page == (tmp_path / "earlier" / "README.md").read_text()
    assert "| 2,000 of flowers, moco_v2_adapt | 48.8 | 52.0, 51.0 | +2.8 | [-3.6, +9.1] | [+0.2, +5.3] |" in page
    assert "| moco_v2_adapt, 10 epochs | 2,000 of flowers | 500 | 3.5 |" in page
    assert "moco_v2_adapt on flowers: +2.8 points, which seeds and test photos alone may explain." in page
    assert "| 2,000: daisy, rose, ... | 01234567 | 0.03 | 1 | 10 | 0.4 | 0.2 | 48.8 after 0, 51.2 after 3 |" in page
    assert "from mini (weights 0123); seeds 0, 1; `adapt_gain.py --init mini` on 2 x Processor; commit abc1234" in page
    assert json.loads((tmp_path / "page" / "gains.json").read_text()) == [GAIN]


@pytest.mark.parametrize(
    ("seeds", "photos", "words"),
    [
        (None, None, "from one seed"),
        ([0.4, 1.8], [0.1, 3.0], "more than seeds and test photos explain"),
        ([-1.8, -0.4], [-3.0, -0.1], "more than seeds and test photos explain"),
        ([0.4, 1.8], [-0.8, 3.0], "other test photos may show none"),
        ([-0.4, 1.8], [0.1, 3.0], "alone may explain"),
    ],
)
def test_the_answer_of_the_page_on_adapting_follows_from_its_intervals(seeds, photos, words, adapting):
    assert words in adapting.answer([GAIN | {"over_seeds": seeds, "over_photos_and_seeds": photos}])


def test_the_page_on_adapting_is_made_of_the_figures_beside_it(adapting):
    page = SCRIPT.parent / "adapt"
    gains, tried = (json.loads((page / name).read_text()) for name in ("gains.json", "tried.json"))
    assert (page / "README.md").read_text() == adapting.text(gains, tried)
