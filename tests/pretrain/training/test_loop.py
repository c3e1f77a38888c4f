"""The training loop: what a run leaves behind, what it refuses, and that every recipe trains."""

import json
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from goodviews.hub.artifact import check, load
from goodviews.hub.errors import DataError, GoodviewsError, OutputExists, UsageError
from goodviews.pretrain.models.clusters import Clusters
from goodviews.pretrain.models.ema import KeyNetwork, Target
from goodviews.pretrain.models.memory_bank import Bank
from goodviews.pretrain.models.queue import Queue
from goodviews.pretrain.objective import Step
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.cmc_learned import LearnedCrossBank
from goodviews.pretrain.recipes.registry import RECIPES
from goodviews.pretrain.training import finite_loss, loop
from goodviews.pretrain.training.build import build_trained_network
from goodviews.pretrain.training.encoders import backbones

pytestmark = pytest.mark.precision


@pytest.fixture(scope="module")
def run(images, smoke, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    loop.pretrain(smoke, images, out)
    return out


def different_recipes():
    """Of recipes that differ in budget, width and rates only, the first; test_cmc_learned trains those with a stem."""
    found = {}
    for name, make in RECIPES.items():
        recipe = make()
        if isinstance(recipe.objective, LearnedCrossBank):  # no small network has the stem
            continue
        found.setdefault((recipe.views, recipe.objective, recipe.memory, type(recipe.optimizer)), name)
    return found.values()


def smaller(recipe):
    memory = {Queue: {"size": 12}, Bank: {"negatives": 5}}.get(type(recipe.memory))
    memory = memory and replace(recipe.memory, **memory)
    kept = recipe.prototypes
    kept = replace(kept, counts=(3, 5), from_epoch=0, tries=2) if isinstance(kept, Clusters) else kept
    slow = replace(recipe.slow, group=4) if isinstance(recipe.slow, KeyNetwork) else recipe.slow
    dim = 2 if recipe.head == "classifier" else recipe.dim  # as many as the images have classes
    small = {"architecture": "test_resnet", "width": 1.0, "zero_init_last": False, "batch_size": 8, "epochs": 1}
    return replace(recipe, dim=dim, memory=memory, prototypes=kept, slow=slow, **small)


@pytest.mark.parametrize("name", different_recipes())
def test_recipe_trains_for_two_steps(name, images, tmp_path):
    """With its own views, objective, optimiser and schedule; a smaller network, batch and memory."""
    recipe = smaller(RECIPES[name]())
    before = backbones(build_trained_network(recipe, 0, torch.device("cpu")), recipe)["encoder"].state_dict()
    encoder = load(loop.pretrain(recipe, images, tmp_path / "run", Options(knn_every=0)))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    assert all(not torch.equal(weight, before[name]) for name, weight in encoder.backbone.named_parameters())


def test_run_leaves_an_encoder_that_says_where_it_comes_from(run, smoke):
    assert check(run / "encoder") == []
    encoder = load(run / "encoder")
    assert encoder.preprocessing.input_px == 32
    assert encoder.origin.name == "infomin_smoke"
    assert encoder.origin.epochs == 2
    assert encoder.origin.dataset["images"] == 16
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if "loss" in line][-1]
    kept = encoder.origin.metrics
    assert {"loss", "contrast", "jigsaw", "effective_rank"} <= set(kept)
    assert all(kept[name] == pytest.approx(last[name], abs=1e-6) for name in kept if name != "online_knn_top1")
    assert encoder.origin.recipe == json.loads((run / "recipe.json").read_text())["recipe"]
    assert encoder.origin.recipe["objective"] == {"type": "InfoMin", "temperature": 0.15, "jigsaw_weight": 0.5}
    assert [view["program"][-1]["type"] for view in encoder.origin.recipe["views"]] == ["Normalize"] * 3


def test_metrics_have_a_line_a_step_and_a_knn_score_before_and_after_every_epoch(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [*range(1, 9)]
    assert {"epoch", "loss", "contrast", "jigsaw", "lr", "images_per_s", "data_wait", "time_s"} <= steps[0].keys()
    assert steps[0]["loss"] == pytest.approx((steps[0]["contrast"] + steps[0]["jigsaw"]) / 2)
    assert [line["step"] for line in lines if "knn_top1" in line] == [0, 4, 8]


def test_number_of_workers_does_not_change_what_is_learned(run, images, smoke, tmp_path):
    loop.pretrain(smoke, images, tmp_path / "run", Options(workers=2))
    weights = [(folder / "encoder" / "model.safetensors").read_bytes() for folder in (run, tmp_path / "run")]
    assert weights[0] == weights[1]


def test_run_that_raises_leaves_no_loader_worker(images, smoke, tmp_path, monkeypatch):
    """Not even while its error is held, with all that the traceback refers to."""
    others = multiprocessing.active_children()
    step, met = loop._step, []

    def step_or_raise(run, batches):
        if run.state.step == 2:
            met.extend(multiprocessing.active_children())
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_raise)
    with pytest.raises(KeyboardInterrupt) as held:
        loop.pretrain(smoke, images, tmp_path / "run", Options(workers=2, knn_every=0))
    assert len(met) == len(others) + 2
    assert multiprocessing.active_children() == others
    assert held.tb is not None


def test_another_seed_learns_something_else(run, images, smoke, tmp_path):
    loop.pretrain(smoke, images, tmp_path / "run", Options(seed=1))
    weights = [(folder / "encoder" / "model.safetensors").read_bytes() for folder in (run, tmp_path / "run")]
    assert weights[0] != weights[1]


def test_images_that_cannot_be_read_are_listed(images, smoke, tmp_path):
    for path in images.rglob("*.png"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    (tmp_path / "data" / "broken.jpg").write_bytes(b"no image")
    recipe = replace(smoke, batch_size=17, epochs=1)
    loop.pretrain(recipe, tmp_path / "data", tmp_path / "run")
    (line,) = (tmp_path / "run" / "skipped.txt").read_text().splitlines()
    assert line.startswith(f"{tmp_path / 'data' / 'broken.jpg'}\t")
    with (tmp_path / "run" / "skipped.txt").open("a") as stream:
        stream.write("met before the run was stopped.jpg\tits reason\n")
    loop.pretrain(recipe, tmp_path / "data", tmp_path / "run", Options(resume=True))
    assert len((tmp_path / "run" / "skipped.txt").read_text().splitlines()) == 2


def test_run_folder_that_exists_is_refused_and_left_alone(run, images, smoke):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(OutputExists, match=r"exists already. --resume continues .* --overwrite starts it anew"):
        loop.pretrain(smoke, images, run)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_overwrite_starts_anew_and_keeps_files_that_are_not_ours(images, smoke, tmp_path):
    out, options = tmp_path / "run", Options(overwrite=True, knn_every=0)
    loop.pretrain(replace(smoke, epochs=1), images, out, options)
    (out / "notes.txt").write_text("mine")
    (out / "metrics.jsonl").write_text('{"step": 99}\n')
    loop.pretrain(replace(smoke, epochs=1), images, out, options)
    assert (out / "notes.txt").read_text() == "mine"
    assert '"step": 99' not in (out / "metrics.jsonl").read_text()


def test_run_is_continued_only_with_the_same_recipe_and_data(run, images, smoke, tmp_path):
    with pytest.raises(UsageError, match=r"was started with recipe.optimizer.lr 0.03, not 0.5; resume it as"):
        loop.pretrain(replace(smoke, optimizer=replace(smoke.optimizer, lr=0.5)), images, run, Options(resume=True))
    with pytest.raises(UsageError, match=r"was started with seed 0, not 1"):
        loop.pretrain(smoke, images, run, Options(seed=1, resume=True))
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    for number in range(3):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{number}.png")
    with pytest.raises(UsageError, match=r"was started with data\.images 16, not 4"):
        loop.pretrain(smoke, tmp_path, run, Options(resume=True))


def test_resume_without_a_run_is_refused(images, smoke, tmp_path):
    with pytest.raises(UsageError, match=r"holds no run to resume"):
        loop.pretrain(smoke, images, tmp_path / "none", Options(resume=True))
    assert not (tmp_path / "none").exists()


def test_resume_and_overwrite_exclude_each_other(run, images, smoke):
    with pytest.raises(UsageError, match=r"give one of them"):
        loop.pretrain(smoke, images, run, Options(resume=True, overwrite=True))


def test_resuming_a_finished_run_changes_nothing(run, images, smoke):
    before = (run / "metrics.jsonl").read_bytes(), (run / "encoder" / "model.safetensors").read_bytes()
    loop.pretrain(smoke, images, run, Options(resume=True))
    assert before == ((run / "metrics.jsonl").read_bytes(), (run / "encoder" / "model.safetensors").read_bytes())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 64}, r"takes 64 images a step, but the data has 16; give --batch-size 16 or less"),
        ({"batch_size": 1}, r"batch_size is 1; it must be 2 or more"),
        ({"epochs": 0}, r"epochs is 0; it must be 1 or more"),
        ({"slow": KeyNetwork(momentum=1.0)}, r"slow.momentum is 1.0; it must be in \[0, 1\)"),
        ({"architecture": "resnet19"}, r"timm has no model called resnet19"),
    ],
)
def test_recipe_that_cannot_be_trained_is_refused_before_anything_is_written(change, sentence, images, smoke, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        loop.pretrain(replace(smoke, **change), images, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_objective_that_lacks_a_view_is_refused(images, smoke, tmp_path):
    with pytest.raises(UsageError, match=r"InfoMin needs a view named jigsaw"):
        loop.pretrain(replace(smoke, views=smoke.views[:2]), images, tmp_path / "run")


def test_objective_that_lacks_what_it_keeps_is_refused(images, smoke, tmp_path):
    with pytest.raises(UsageError, match=r"InfoMin needs a Queue, which the recipe lacks"):
        loop.pretrain(replace(smoke, memory=None), images, tmp_path / "run")
    with pytest.raises(UsageError, match=r"InfoMin needs a KeyNetwork, which the recipe lacks"):
        loop.pretrain(replace(smoke, slow=Target()), images, tmp_path / "run")


def test_more_negatives_than_images_are_warned_of(images, tmp_path, caplog):
    recipe = replace(RECIPES["instdis_smoke"](), architecture="test_resnet", memory=Bank(negatives=16))
    loop.pretrain(recipe, images, tmp_path / "run", Options(knn_every=0))
    assert "16 negatives are drawn of 16 images" in caplog.text


def test_folder_without_images_is_refused(smoke, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("words")
    with pytest.raises(DataError, match=r"holds no image"):
        loop.pretrain(smoke, tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_gpu_that_is_not_there_is_refused(images, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"finds no GPU"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(device="cuda"))
    with pytest.raises(UsageError, match=r"fp16 needs a GPU"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(device="cpu", precision="fp16"))


def test_nan_loss_stops_the_run_before_it_is_saved(images, smoke, tmp_path, monkeypatch):
    objective = type(smoke.objective)
    honest = objective.__call__

    def poisoned(self, networks, negatives, views, orders):
        step = honest(self, networks, negatives, views, orders)
        return Step(step.loss * float("nan"), step.losses, step.keys)

    monkeypatch.setattr(objective, "__call__", poisoned)
    with pytest.raises(GoodviewsError, match=r"stopped at step 1: loss is nan; its batch .* Lower optimizer.lr"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(save_every=1))
    assert not (tmp_path / "run" / "state").exists()


def test_batch_of_an_infinite_loss_is_saved_with_its_images_and_views(images, smoke, tmp_path, monkeypatch):
    objective, seen = type(smoke.objective), []
    honest = objective.__call__

    def poisoned(self, networks, negatives, views, orders):
        step = honest(self, networks, negatives, views, orders)
        seen.append(views)
        return replace(step, loss=step.loss / (0 if len(seen) == 3 else 1))

    monkeypatch.setattr(objective, "__call__", poisoned)
    with pytest.raises(GoodviewsError, match=r"stopped at step 3: loss is inf; its batch is saved in .*bad_batch.pt"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(knn_every=0))
    saved = torch.load(tmp_path / "run" / "bad_batch.pt", weights_only=True)
    assert (saved["step"], saved["loss"]) == (3, float("inf"))
    assert len(set(saved["samples"].tolist())) == 4
    assert all(torch.equal(saved["views"][name], view) for name, view in seen[2].items())


def test_full_disk_does_not_hide_why_a_run_stopped(images, smoke, tmp_path, monkeypatch):
    objective, honest = type(smoke.objective), type(smoke.objective).__call__

    def poisoned(self, networks, negatives, views, orders):
        step = honest(self, networks, negatives, views, orders)
        return replace(step, loss=step.loss / 0)

    def full(state, path):
        path.write_bytes(b"PK")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos")

    monkeypatch.setattr(objective, "__call__", poisoned)
    monkeypatch.setattr(finite_loss.torch, "save", full)
    with pytest.raises(GoodviewsError, match=r"stopped at step 1: loss is inf; its batch could not be saved in .*pt"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(knn_every=0))
    assert not (tmp_path / "run" / "bad_batch.pt").exists()


def test_queue_as_large_as_the_data_is_warned_of(images, smoke, tmp_path, caplog):
    loop.pretrain(replace(smoke, epochs=1, memory=Queue(16)), images, tmp_path / "run", Options(knn_every=0))
    assert "not smaller than the data" in caplog.text


def test_bfloat16_on_a_cpu_trains_and_keeps_float32_losses(images, smoke, tmp_path):
    loop.pretrain(replace(smoke, epochs=1), images, tmp_path / "run", Options(precision="bf16", knn_every=0))
    encoder = load(tmp_path / "run" / "encoder")
    assert {weight.dtype for weight in encoder.backbone.parameters()} == {torch.float32}


def test_a_declared_range_of_values_reaches_the_encoder_and_the_description_of_the_data(smoke, tmp_path):
    draw = np.random.default_rng(0)
    for i in range(8):
        scan = draw.integers(0, 4096, (40, 40)).astype(np.uint16)
        (tmp_path / "scans").mkdir(exist_ok=True)
        Image.fromarray(scan).save(tmp_path / "scans" / f"{i}.png")
    short = replace(smoke, epochs=1)
    plain = Options(precision="fp32")
    with pytest.raises(DataError, match="None of the 8 images"):
        loop.pretrain(short, tmp_path / "scans", tmp_path / "refused", plain)
    folder = loop.pretrain(short, tmp_path / "scans", tmp_path / "run", replace(plain, values="0..4095"))
    assert load(folder).preprocessing.values == (0, 4095)
    described = json.loads((tmp_path / "run" / "recipe.json").read_text("utf-8"))["data"]
    assert (described["values"], described["jpeg"]) == ([0, 4095], "smaller where crops shrink 4 times or more")
    assert not (tmp_path / "run" / "skipped.txt").exists()
