"""The script that makes a page of results from the files of runs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from goodviews.hub.comparison.cells import cells, headings
from goodviews.hub.comparison.tables import compare, read_runs
from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import Evidence, Protocol, Report, save_report

from .scripts import load_script

SCRIPT = Path(__file__).parents[1] / "docs" / "results" / "write.py"


@pytest.fixture(scope="module")
def results():
    return load_script(SCRIPT)


@pytest.fixture(scope="module")
def speeds():
    return load_script(SCRIPT.with_name("speed.py"))


@pytest.fixture(scope="module")
def adapting():
    return load_script(SCRIPT.with_name("adapt.py"))


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


WORDS = {
    "question": "Does it learn?",
    "setting": "12 photos.",
    "answer": "Of the neighbours [[knn on photos | infomin_tiny]] % are right.",
}


def test_a_page_holds_the_scores_the_trainings_and_the_commands_of_the_files(results, training, measured, tmp_path):
    results.write("Tiny", pretrained=[training], measured=[measured], out=tmp_path / "page", **WORDS)
    page = (tmp_path / "page" / "README.md").read_text()
    assert "# Tiny\n\n**Question.** Does it learn?\n\n**Setting.** 12 photos.\n" in page
    assert "| infomin_tiny | 41.8 [35.0, 48.0] | 1 |" in page
    assert "**Answer.** Of the neighbours 41.8 [35.0, 48.0] % are right." in page
    assert "| infomin_tiny | resnet18 | 12 | 2 | 3 | 30.5 to 30.5 | 5.125 | 0.50 |" in page
    assert "`goodviews pretrain infomin_tiny --data photos --out ours` on 1 x Processor; commit abc1234" in page
    assert "`goodviews transfer knn --out ours-knn`" in page
    for name in ("scores.png", "trainings.png", "reports/ours-knn.json", "trainings/ours/metrics.jsonl"):
        assert (tmp_path / "page" / name).stat().st_size > 0


def test_a_folder_without_losses_is_no_training_yet_and_leaves_no_page(results, training, measured, tmp_path):
    (training / "metrics.jsonl").write_text('{"epoch": 0.0, "knn_top1": 30.5}\n')
    with pytest.raises(DataError, match="no line of losses"):
        results.write("Tiny", pretrained=[training], measured=[measured], out=tmp_path / "page", **WORDS)
    assert not (tmp_path / "page").exists()


def test_a_page_keeps_its_words_when_it_is_made_again(results, training, measured, tmp_path):
    out = tmp_path / "page"
    results.write("Tiny", pretrained=[training], measured=[measured], out=out, **WORDS)
    first = (out / "README.md").read_text()
    results.write(pretrained=[training], measured=[measured], out=out)
    assert (out / "README.md").read_text() == first
    results.write("Small", out=out)
    assert (out / "README.md").read_text() == first.replace("# Tiny", "# Small")


def test_a_page_without_words_is_refused_and_so_is_an_answer_about_what_was_not_measured(results, measured, tmp_path):
    with pytest.raises(UsageError, match="has no question and no answer yet; give --question and --answer"):
        results.write("Tiny", measured=[measured], setting="12 photos.", out=tmp_path / "page")
    with pytest.raises(DataError, match="no such score"):
        results.write("Tiny", measured=[measured], out=tmp_path / "page", **WORDS | {"answer": "[[knn | other]]"})
    assert not (tmp_path / "page").exists()


PAGES = sorted(file.parent for file in SCRIPT.parent.glob("*/README.md"))
SCORED = [page for page in PAGES if (page / "reports").is_dir()]


def in_sight(text: str) -> str:
    """The page without what is folded away."""
    return re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_asks_says_what_was_run_and_answers_in_tables_that_fit_a_phone(page):
    text = (page / "README.md").read_text()
    for part in ("**Question.** ", "**Setting.** ", "## What was found\n", "**Answer.**", "## Evidence\n"):
        assert text.count(part) == 1, part
    assert text.count("<details>") == text.count("</details>") > 0
    rows = [line for line in in_sight(text).splitlines() if line.startswith("|")]
    assert [row for row in rows if len(re.split(r"(?<!\\)\|", row)) - 2 > 6] == []


@pytest.mark.parametrize("page", SCORED, ids=lambda page: page.name)
def test_every_page_of_scores_is_made_of_the_files_beside_it(page, results):
    assert (page / "README.md").read_text() == results.text(page)
    runs = read_runs((page / "reports").glob("*.json"))
    assert all(run.report.evidence.commit for run in runs)
    assert all(run.report.evidence.command in (page / "README.md").read_text() for run in runs)


@pytest.mark.parametrize("page", SCORED, ids=lambda page: page.name)
def test_the_differences_that_a_page_records_are_those_of_its_reports(page):
    runs, beside = read_runs(sorted((page / "reports").glob("*.json"))), json.loads((page / "page.json").read_text())
    for table in compare(runs, baseline=beside["baseline"]).tables:
        if table.baseline:
            first = headings(table).index(f"against {table.baseline}")
            for row in table.rows:
                recorded = beside["differences"][f"{table.title}, {table.engine}"][row.encoder]
                found = cells(table, row)[first : first + 3]
                is_tested_by_seeds = found[1] != ""
                assert recorded[0].partition(" ")[0] == found[0].partition(" ")[0], f"{table.title}: {row.encoder}"
                assert not is_tested_by_seeds or recorded == found, f"{table.title}: {row.encoder}"


def test_a_wrong_score_in_a_report_is_noticed(results, tmp_path):
    page = shutil.copytree(SCORED[1], tmp_path / "page")
    (report, *_) = sorted((page / "reports").glob("*.json"))
    content = json.loads(report.read_text())
    content["metrics"][content["primary"]] += 3
    report.write_text(json.dumps(content))
    assert (page / "README.md").read_text() != results.text(page)


def test_the_page_of_speeds_is_made_of_the_figures_beside_it(speeds):
    page = SCRIPT.parent / "speed"
    assert (page / "README.md").read_text() == speeds.text(page)


def test_the_page_of_the_service_under_load_is_made_of_the_figures_beside_it():
    page = SCRIPT.parent / "serve-load"
    found = [json.loads((page / name).read_text()) for name in ("torch.json", "onnx.json")]
    assert (page / "README.md").read_text() == load_script(SCRIPT.with_name("serve_load.py")).text(found)


def test_the_page_of_large_indexes_is_made_of_the_figures_beside_it():
    page = SCRIPT.parent / "index-scale"
    *found, kills = (json.loads((page / f"{name}.json").read_text()) for name in ("2048", "128", "kills"))
    assert (page / "README.md").read_text() == load_script(SCRIPT.with_name("index_scale.py")).text(found, kills)


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
    names = ("moco_v2_200", "infomin_200", "clsa_multi_200")
    (tmp_path / "loader.json").write_text(json.dumps(dict.fromkeys(names, loader)))
    (tmp_path / "loop.json").write_text(json.dumps(loop))
    pair, labels = (SCRIPT.parent / "speed" / f"{name}.json" for name in ("pair-1", "labels"))
    other = tmp_path / "other.json"
    figures = json.loads(pair.read_text()) | {"hardware": "Other", "share": 0.5, "over_lightly": 9, "rounds": 8}
    figures["rates"] = {"from_files": [5, 6] * 4, "kept": [5] * 8, "synthetic": [10] * 8, "lightly": [0.5] * 8}
    other.write_text(json.dumps(figures))
    files = {
        "loader": tmp_path / "loader.json",
        "loop": tmp_path / "loop.json",
        "pair": [pair, other],
        "labels": labels,
    }
    speeds.write(**files, out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert "| infomin_200 | ours, a loader worker's share where a GPU renders the views | 210.0 | 5.25 |" in page
    assert (
        "7 photos of 0.31 million pixels (median), decoded by simplejpeg; 1 x Processor, commit abc1234; 3 rounds"
        in page
    )
    assert "| resnet50 at 96 px | 32 | 7.50 | 1.10 | 1.00 to 1.20 | 2 |" in page
    assert re.search(r"MoCo v2 trains \d\.\d\d to 9\.00 times as fast as lightly's parts", page)
    assert "0.55 [0.50, 0.60] of 0.95 of the network's own rate on Other" in page
    assert "9.00 of 1.2" not in page
    assert json.loads((tmp_path / "page" / "loop.json").read_text()) == loop
    speeds.write(**files | {"labels": None}, out=tmp_path / "page")
    assert (tmp_path / "page" / "README.md").read_text() == page


GAIN = {
    "data": "flowers",
    "photos": 2000,
    "test_photos": 500,
    "encoder": {"parent": "mini (weights 0123)", "architecture": "resnet18"},
    "recipe": {
        "name": "moco_v2_adapt",
        "epochs": 10,
        "head": "mlp",
        "objective": {"type": "QueueContrast", "temperature": 0.2},
        "slow": {"momentum": 0.99},
        "memory": {"size": 512},
        "optimizer": {"lr": 0.02},
        "views": [{"crop": {"scale": [0.2, 1.0]}}],
    },
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
    gain = tmp_path / "gain.json"
    adapting.write(gains=[gain], tried=[trial], others=[gain], out=tmp_path / "earlier")
    parts = {name: [tmp_path / "earlier" / f"{name}.json"] for name in ("gains", "tried", "others")}
    adapting.write(**parts, out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert page == (tmp_path / "earlier" / "README.md").read_text()
    assert "| 2,000 of flowers, moco_v2_adapt | 48.8 | 52.0, 51.0 | +2.8 | [-3.6, +9.1] | [+0.2, +5.3] |" in page
    assert "| moco_v2_adapt, 10 epochs | 2,000 of flowers | 500 | 3.5 |" in page
    assert (
        "| 2,000 of flowers | QueueContrast | mlp | 0.2 | 0.99 | 512 | 0.02 | 0.2 | 10 | 48.8 | 52.0 (0), 51.0 (1) |"
        in page
    )
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
    found = (json.loads((page / name).read_text()) for name in ("gains.json", "tried.json", "others.json"))
    assert (page / "README.md").read_text() == adapting.text(*found)
