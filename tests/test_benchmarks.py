"""The benchmarks run on a CPU, tiny: looked at is not what they measure but what it must add up to."""

import json
import os
import runpy
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks lie in the repository only")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a benchmark as a script; gives the figures that it writes."""

    def script(name: str, *words: str) -> dict:
        monkeypatch.setattr(sys, "argv", [name, *words, "--out", str(tmp_path / "out.json")])
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        return json.loads((tmp_path / "out.json").read_text())

    return script


def test_overhead_of_the_loop_is_a_share_of_each_step(run):
    words = ["--architecture", "test_resnet", "--px", "32", "--batch-size", "4", "--steps", "2", "--workers", "0"]
    figures = run("loop_overhead", *words)
    assert len(figures["overheads"]) == 2
    assert all(0 < share < 1 for share in figures["overheads"])
    assert all(inside < step for inside, step in zip(figures["inside_s"], figures["steps_s"], strict=True))


def test_ways_from_a_file_to_views_are_held_against_the_published_one(run):
    figures = run("loader_speed", "infomin_200", "clsa_multi_200", "--rounds", "1", "--per-round", "1")
    for found in figures.values():
        taken = {way: seconds[0] for way, seconds in found["seconds"].items()}
        fast = {"worker_share_fast", "all_on_cpu_fast"}
        assert set(taken) - fast == {"published", "decode_crop", "worker_share", "all_on_cpu"}
        is_fast = all(find_spec(name) is not None for name in ("numba", "simplejpeg"))
        assert set(taken) & fast == (fast if is_fast else set())
        for way, ratio in found["ratio_to_published"].items():
            assert ratio == pytest.approx(taken["published"] / taken[way])
            assert found["images_per_cpu_second"][way] == pytest.approx(1 / taken[way])


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_batches_in_portions_are_held_against_whole_ones(run, target):
    words = ["--recipe", "moco_v2_smoke", "--batch-size", "40", "--workers", "1", "--rounds", "1", "--for", target]
    figures = run("loader_portions", *words, "--warm-up", "1", "--steps", "1")["1 worker"]
    for name, ratio in figures["ratios"].items():
        values = figures["rounds"][0]
        assert ratio == pytest.approx(values["portions"][name] / values["whole"][name])


@pytest.mark.slow
def test_compiled_steps_are_held_against_plain_ones_that_they_follow(run):
    words = ["--architecture", "test_resnet", "--px", "32", "--batch-size", "4", "--steps", "1", "--compiler", "eager"]
    figures = run("compile_gain", *words)
    assert figures["gain"] == pytest.approx(figures["steps_s"]["plain"][0] / figures["steps_s"]["compiled"][0])
    assert figures["graph_breaks"] == 0


def test_training_from_files_is_held_against_training_on_one_batch(run):
    words = ["infomin_smoke", "clsa_smoke", "--architecture", "test_resnet", "--steps", "2", "--warm-up", "1"]
    figures = run("gpu_pretraining", *words, "--workers", "0", "--device", "cpu", "--precision", "fp32")
    for name in ("infomin_smoke", "clsa_smoke"):
        assert figures[name]["share"] == pytest.approx(figures[name]["from_files"] / figures[name]["synthetic"])


def test_lightlys_moco_is_trained_on_the_same_files(run):
    pytest.importorskip("lightly", reason="needs lightly: pip install lightly")
    words = ["moco_v2_smoke", "--architecture", "test_resnet", "--steps", "2", "--warm-up", "1", "--workers", "0"]
    figures = run("gpu_pretraining", *words, "--device", "cpu", "--precision", "fp32")["moco_v2_smoke"]
    assert figures["over_lightly"] == pytest.approx(figures["from_files"] / figures["lightly"])


def test_moco_on_a_cpu_is_held_against_lightlys_within_each_round(run):
    pytest.importorskip("lightly", reason="needs lightly: pip install lightly")
    words = ["--architecture", "test_resnet", "--px", "32", "--batch-size", "4", "--rounds", "1", "--steps", "2"]
    figures = run("beside_lightly", *words)
    ours, kept, theirs, network = (figures["rates"][way][0] for way in ("from_files", "kept", "lightly", "synthetic"))
    assert [figures["over_lightly"], figures["kept_over_lightly"]] == pytest.approx([ours / theirs, kept / theirs])
    assert [figures["share"], figures["kept_share"]] == pytest.approx([ours / network, kept / network])


def test_help_takes_longer_than_an_empty_python(run):
    figures = run("help_speed", "--rounds", "1")
    assert 0 < figures["best"]["python"] < figures["best"]["help"]


def test_loads_are_compared_within_a_round(run):
    figures = run("load_speed", "--architecture", "test_resnet", "--rounds", "2")
    assert {"trust", "check", "seconds"} <= set(figures)
    assert figures["seconds"] > 0


def test_crops_from_reduced_jpeg_files_are_held_against_those_of_whole_ones(run):
    photos = Path(__file__).parent / "photos"
    figures = run("jpeg_reduction", "--data", str(photos), "--photos", "3", "--px", "32")
    loose, strict = figures["rows"]
    assert (loose["spare"], strict["spare"]) == (1, 2)
    assert loose["reduced_share"] == 1
    assert strict["psnr_median"] > loose["psnr_median"] > 20


def test_downloads_are_whole_while_a_push_runs(tmp_path):
    words = ["--downloads", "30", "--megabytes", "0.3", "--out", str(tmp_path / "out.json")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    script = [sys.executable, str(BENCHMARKS / "hub_downloads.py"), *words]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (sum(figures["versions"].values()), figures["failures"]) == (60, [])
    assert figures["pushes"] >= 3


@pytest.mark.precision
def test_gain_of_adapting_is_the_difference_of_two_scores_and_a_stopped_measurement_goes_on(run, colours, tmp_path):
    words = ["--init", "random:test_resnet-32px", "--data", str(colours), "--photos", "15", "--seeds", "0", "1"]
    words += ["--runs", str(tmp_path / "runs"), "--set", "epochs=1", "batch_size=6"]
    words += ["schedule.warmup_epochs=0"]
    figures = run("adapt_gain", *words)
    assert (figures["photos"], figures["test_photos"]) == (15, 9)
    for row in figures["runs"]:
        assert row["top1"] - figures["start"] == pytest.approx(100 * (row["won"] - row["lost"]) / 9)
        assert row["core_minutes"] > 0
    assert figures["gain"] == pytest.approx(sum(row["top1"] - figures["start"] for row in figures["runs"]) / 2)
    assert figures["over_seeds"][0] <= figures["gain"] <= figures["over_seeds"][1]
    assert figures["recipe"]["architecture"] == "test_resnet"
    assert run("adapt_gain", *words)["runs"] == figures["runs"]


def test_views_rendered_for_a_gpu_are_those_of_the_cpu_in_a_rehearsal_too(run):
    found = run("gpu_session", "--rehearse", "--part", "views_agree")
    assert {figures["share"] for figures in found.values()} == {0.0}


@pytest.fixture
def session(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "gpu_session.py"))


def test_a_session_of_all_parts_ends_in_eight_minutes_and_that_of_what_is_right_in_two(session):
    parts = session["PARTS"]
    correct = [name for name, part in parts.items() if part.is_correctness]
    assert [*parts][: len(correct)] == correct, "what is right comes first"
    assert max(session["_ends"]([*parts], is_rehearsal=False).values()) <= session["BUDGET_S"] == 8 * 60
    assert max(session["_ends"](correct, is_rehearsal=False).values()) <= 2 * 60
    assert set(session["_ends"]([*parts], is_rehearsal=True).values()) == {8 * 60}


STUCK = """yield "worker", subprocess.Popen(["sleep", "600"]).pid
        time.sleep(600)"""


def test_a_session_keeps_the_figures_of_a_part_that_takes_too_long_and_ends_its_processes(session, tmp_path):
    setting, run = session["Setting"](True, session["PHOTOS"]), session["_in_a_process"]
    assert run("in_fp16", setting, 60.0)["skipped"] == "fp16 needs a GPU"
    assert run("in_fp16", setting, 0.0)["failed"] == "earlier parts used up the time"
    script = (BENCHMARKS / "gpu_session.py").read_text().replace('raise Skipped("fp16 needs a GPU")', STUCK)
    (tmp_path / "stuck.py").write_text(script)
    run.__globals__["__file__"] = str(tmp_path / "stuck.py")
    found = run("in_fp16", setting, 4.0)
    assert found["failed"] == "not done after 4 s"
    assert any(_is_gone(found["worker"]) or time.sleep(0.1) for _ in range(100))


def _is_gone(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
def test_searches_of_several_clients_are_all_answered(run, tmp_path):
    pytest.importorskip("starlette", reason='needs the extra serve: pip install ".[serve]"')
    from goodviews.export.index.build import build
    from goodviews.hub import from_pretrained

    photos = Path(__file__).parent / "photos"
    build(from_pretrained("goodviews:mini"), photos, tmp_path / "index")
    words = ["--index", str(tmp_path / "index"), "--photos", str(photos), "--k", "2"]
    figures = run("serve_load", *words, "--clients", "2", "--seconds", "1")
    (found,) = figures["rounds"]
    assert found["errors"] == {}
    assert found["requests"] >= 2
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["largest_ms"]
    assert figures["images"] == 4


def test_a_made_up_index_is_searched_beside_numpy(run):
    figures = run("index_scale", "--count", "900", "--dimension", "16", "--queries", "20", "--rounds", "1")
    assert figures["recall_at_10"] == 1  # so few are compared one by one
    assert figures["search"] == "exact cosine search"
    speeds = figures["queries_a_second"]
    assert figures["ratio_to_numpy"] == pytest.approx(speeds["ours"] / speeds["numpy"])
    assert 0 < figures["peak_mb"] < 2000


@pytest.mark.slow
def test_labels_are_read_beside_pycocotools_and_several_processes_share_them(tmp_path):
    pytest.importorskip("pycocotools", reason="needs pycocotools")
    words = ["--photos", "300", "--processes", "2", "--folder", str(tmp_path), "--out", str(tmp_path / "out.json")]
    script = [sys.executable, str(BENCHMARKS / "label_memory.py"), *words]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "out.json").read_text())
    ours, theirs = figures["medians"]["goodviews"], figures["medians"]["pycocotools"]
    assert (ours["photos"], ours["objects"]) == (theirs["photos"], theirs["objects"])
    assert ours["photos"] == 300
    assert figures["times_pycocotools_s"] == pytest.approx(ours["labels_s"] / theirs["labels_s"])
    assert theirs["together_mb"] == pytest.approx(2 * theirs["alone_mb"])
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.precision
def test_the_control_of_learned_views_trains_every_kind_of_split(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="needs scikit-learn, for its digits")
    words = ["--control", "--steps", "2", "--photos", "80", "--batch-size", "16", "--seeds", "1", "--px", "16"]
    monkeypatch.setattr(sys, "argv", ["learned_views", *words, "--out", str(tmp_path / "run")])
    runpy.run_path(str(BENCHMARKS / "learned_views.py"), run_name="__main__")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    names = ["raw", "unsupervised", "semi-supervised", "unmixed: digits alone are shared"]
    assert [point["name"] for point in report["points"]] == names
    assert (tmp_path / "run" / "views.png").is_file()
