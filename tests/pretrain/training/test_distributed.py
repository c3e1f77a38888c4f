"""Two processes on a CPU: one gather order, one queue, one set of weights."""

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.pretrain.models.ema import EmaPair
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, loop

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from accelerate import PartialState
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.models.ema import EmaPair
from goodviews.pretrain.models.queue import KeyQueue

torch.set_num_threads(1)
data, out = Path(sys.argv[1]), Path(sys.argv[2])
met = []
encode = EmaPair.keys

def keys(self, images, order):
    found = encode(self, images, order)
    met.append((found.own, found.everyone, order, images))
    return found

if __name__ == "__main__":
    EmaPair.keys = keys
    recipe = replace(choose("infomin_smoke"), architecture="test_resnet", epochs=2)
    loop._save, save = lambda run: (runs.append(run), save(run)), loop._save
    runs = []
    loop.pretrain(recipe, data, out / "run", Options(device="cpu", precision="fp32"))
    state = runs[-1].state
    rank = PartialState().process_index
    pair, queue = state.memory(EmaPair), state.memory(KeyQueue)
    content = {"met": met, "queue": queue.rows, "pointer": queue.pointer}
    content |= {"query": dict(pair.query.named_parameters()), "key": dict(pair.key.named_parameters())}
    torch.save(content, out / f"rank{rank}.pt")
"""


@pytest.fixture(scope="module")
def ranks(images, tmp_path_factory):
    """What each of two processes saw and ended with, after 8 steps of 4 images."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "two.py").write_text(SCRIPT)
    run_in_two_processes([folder / "two.py", images, folder])
    return folder, [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def run_in_two_processes(words):
    for process in start_two_processes(words):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


def start_two_processes(words, **variables):
    """python WORDS under the variables that torchrun sets, and others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    return [
        subprocess.Popen(
            [sys.executable, *words],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def test_keys_of_everyone_are_the_same_in_both_processes_and_contain_each_ones_own(ranks):
    _, (first, second) = ranks
    assert len(first["met"]) == 8
    for (own_0, all_0, order_0, _), (own_1, all_1, order_1, _) in zip(first["met"], second["met"]):
        assert torch.equal(all_0, all_1)
        assert torch.equal(order_0, order_1)
        assert torch.equal(all_0, torch.cat([own_0, own_1]))
        torch.testing.assert_close(all_0.norm(dim=1), torch.ones(4))


def test_processes_see_different_images(ranks):
    _, (first, second) = ranks
    assert all(not torch.equal(a[3], b[3]) for a, b in zip(first["met"], second["met"]))


def test_queue_and_weights_end_equal_in_both_processes(ranks):
    _, (first, second) = ranks
    assert torch.equal(first["queue"], second["queue"])
    assert first["pointer"] == second["pointer"] == 8 * 4 % 10
    for part in ("query", "key"):
        assert all(torch.equal(weight, second[part][name]) for name, weight in first[part].items())


def test_first_keys_are_those_of_one_process_with_the_same_groups(ranks, images, smoke, tmp_path, monkeypatch):
    """Two processes of two images and one process with groups of two shuffle alike, so they make the same keys."""
    met = []
    encode = EmaPair.keys

    def keys(self, images, order):
        met.append(encode(self, images, order))
        return met[-1]

    monkeypatch.setattr(EmaPair, "keys", keys)
    loop.pretrain(replace(smoke, epochs=1), images, tmp_path / "run", Options(knn_every=0, precision="fp32"))
    _, (first, _) = ranks
    torch.testing.assert_close(met[0].everyone, first["met"][0][1], rtol=1e-4, atol=1e-5)


def test_only_the_first_process_writes(ranks):
    folder, _ = ranks
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [*range(1, 9)]
    assert torch.load(folder / "run" / "state" / checkpoint.FILE, weights_only=True)["step"] == 8


METHODS = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.recipes.registry import choose

torch.set_num_threads(1)
data, out = Path(sys.argv[1]), Path(sys.argv[2])
for run in sys.argv[3:]:
    name, architecture, precision = run.split("=")
    recipe = replace(choose(name), architecture=architecture, batch_size=8, epochs=2)
    loop.pretrain(recipe, data, out / run, Options(knn_every=0, device="cpu", precision=precision))
"""


@pytest.mark.slow
def test_every_kind_of_method_has_the_losses_of_one_process_with_the_same_batch(images, tmp_path, monkeypatch):
    """Batch statistics and embeddings, with their gradients, are shared; so are assignments, banks and clusters.

    Methods whose batch norm is each process's own have a backbone without it. In bf16 the two are equal but for its
    8 bits, by which cosines, over the temperature, and so the losses may differ.
    """
    runs = [f"{name}_smoke=test_resnet=fp32" for name in ("simclr_clsa", "byol_clsa", "swav")]
    runs += [f"{name}_smoke=test_nfnet=fp32" for name in ("pirl", "supervised", "pcl_v2")]
    half = "moco_v2_smoke=test_nfnet=bf16"
    (tmp_path / "methods.py").write_text(METHODS)
    run_in_two_processes([tmp_path / "methods.py", images, tmp_path / "two", *runs, half])
    monkeypatch.setattr(sys, "argv", ["methods.py", str(images), str(tmp_path / "one"), *runs, half])
    runpy.run_path(str(tmp_path / "methods.py"))
    losses = {
        (count, run): [
            json.loads(line)["loss"] for line in (tmp_path / count / run / "metrics.jsonl").read_text().splitlines()
        ]
        for count in ("one", "two")
        for run in [*runs, half]
    }
    assert losses["two", half][0] == pytest.approx(losses["one", half][0], abs=4 * 2.0**-8 / 0.2)
    for run in runs:
        one, two = losses["one", run], losses["two", run]
        assert len(one) == 4
        assert two == pytest.approx(one, rel=1e-3), run
        states = [
            torch.load(tmp_path / count / run / "state" / checkpoint.FILE, weights_only=True)
            for count in ("one", "two")
        ]
        for name, weight in states[0]["query"].items():
            torch.testing.assert_close(states[1]["query"][name], weight, rtol=1e-2, atol=1e-3)
        if states[0]["memory"] is not None:
            torch.testing.assert_close(states[1]["memory"]["rows"], states[0]["memory"]["rows"], rtol=1e-2, atol=1e-3)
        for ours, theirs in zip(*((state["clusters"] or {"granularities": []})["granularities"] for state in states)):
            assert torch.equal(ours["of"], theirs["of"])


RECIPE = """
from dataclasses import replace
from goodviews.pretrain.recipes.clsa import Clsa, clsa_smoke, clsa_views
from goodviews.pretrain.views.view import RandomResizedCrop

def two_sizes():
    crops = [RandomResizedCrop(32, (0.2, 1.0)), RandomResizedCrop(16, (0.1, 0.4))]
    names = [tuple(f"{kind}_{px}" for px in (32, 16)) for kind in ("weak", "strong")]
    return replace(
        clsa_smoke(),
        views=clsa_views(crops[0], weak=crops, strong=crops),
        objective=Clsa(*names),
        architecture="test_nfnet",
        batch_size=8,
        epochs=2,
    )
"""


def test_clsa_in_two_processes_has_the_losses_and_keys_of_one_with_the_same_batch(images, tmp_path):
    """With a backbone that has no batch norm, so that nothing but the place of the work can differ."""
    (tmp_path / "mine.py").write_text(RECIPE)
    recipe, common = f"{tmp_path / 'mine.py'}:two_sizes", ["--data", images, "--workers", "0", "--knn-every", "0"]
    common += ["--precision", "fp32"]
    run_in_two_processes(["-m", "goodviews.pretrain", recipe, *common, "--out", tmp_path / "two", "--device", "cpu"])
    loop.pretrain(choose(recipe), images, tmp_path / "one", Options(knn_every=0, device="cpu", precision="fp32"))
    one, two = (
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    )
    assert len(one) == 4
    for ours, theirs in zip(one, two, strict=True):
        for term in ("loss", "contrast", "match"):
            assert theirs[term] == pytest.approx(ours[term], rel=1e-4)
    queues = [
        torch.load(tmp_path / run / "state" / checkpoint.FILE, weights_only=True)["memory"] for run in ("one", "two")
    ]
    torch.testing.assert_close(queues[0]["rows"], queues[1]["rows"], rtol=1e-3, atol=1e-4)
    assert queues[0]["pointer"] == queues[1]["pointer"]


STOPPED = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from accelerate import PartialState
from goodviews.pretrain.models.ema import EmaPair
from goodviews.pretrain.models.queue import KeyQueue
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.recipes.registry import choose

torch.set_num_threads(1)
data, out = Path(sys.argv[1]), Path(sys.argv[2])
step, runs = loop._step, []

def step_or_stop(run, batches):
    if run.state.step == 3:
        raise KeyboardInterrupt
    return step(run, batches)

def state(run):
    network, pair, queue = run.state.network, run.state.memory(EmaPair), run.state.memory(KeyQueue)
    content = {"query": network.state_dict(), "key": dict(pair.key.named_parameters())}
    return content | {"queue": queue.rows, "buffers": dict(network.named_buffers())}

if __name__ == "__main__":
    options = {"device": "cpu", "knn_every": 0, "accumulate": 2, "keep": "disk"}
    loop._save, save = lambda run: (runs.append(run), save(run)), loop._save
    for name in sys.argv[3:]:
        recipe = replace(choose(f"{name}_smoke"), architecture="test_resnet", batch_size=8, epochs=3)
        loop.pretrain(recipe, data, out / name / "whole", Options(**options))
        whole = state(runs[-1])
        loop._step = step_or_stop
        try:
            loop.pretrain(recipe, data, out / name / "broken", Options(save_every=2, **options))
        except KeyboardInterrupt:
            pass
        loop._step = step
        loop.pretrain(recipe, data, out / name / "broken", Options(resume=True, **options))
        found = {"whole": whole, "broken": state(runs[-1])}
        torch.save(found, out / name / f"stopped{PartialState().process_index}.pt")
"""


@pytest.mark.slow
@pytest.mark.precision
def test_run_of_two_processes_continues_bit_for_bit_in_both(images, tmp_path, monkeypatch):
    """In parts and from photos on disk, which one process decodes for both; batch norms' averages in both as well.

    PCL's clusters are made of the key network's averages, of which a checkpoint holds the first process's only.
    """
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "stopped.py").write_text(STOPPED)
    data = shutil.copytree(images, tmp_path / "data")
    for name in "abcdefgh":  # as many broken as whole ones in a class, so that both processes meet some
        (data / "class0" / f"{name}.jpg").write_bytes(b"no image")
    run_in_two_processes([tmp_path / "stopped.py", data, tmp_path, "infomin", "pcl_v1"])
    for run in (tmp_path / "infomin", tmp_path / "pcl_v1"):
        listed = (run / "whole" / "skipped.txt").read_text().splitlines()
        assert {Path(line.partition("\t")[0]).stem for line in listed} == set("abcdefgh")
        states = [torch.load(run / f"stopped{rank}.pt", weights_only=True) for rank in range(2)]
        for state in states:
            whole, broken = state["whole"], state["broken"]
            for part in ("query", "key", "buffers"):
                assert all(torch.equal(value, broken[part][name]) for name, value in whole[part].items())
            assert torch.equal(whole["queue"], broken["queue"])
        first, second = (state["whole"]["query"] for state in states)
        own = states[0]["whole"]["buffers"]
        assert all(torch.equal(value, second[name]) for name, value in first.items() if name not in own)
    assert len(list((tmp_path / "cache" / "photos").iterdir())) == 1


KEPT = """
import os, sys, time
from datetime import timedelta
from pathlib import Path
import torch
import torch.distributed as dist
from accelerate import Accelerator
from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data import decoded_cache
from goodviews.pretrain.options import Options
from goodviews.pretrain.training.failures import broken_connections
from goodviews.pretrain.training.kept_photos import keep_photos

def decode_slowly(*words):
    decoded.append(1)
    if accelerator.process_index == 0:
        time.sleep(3)
    elif sys.argv[3:] == ["dies"]:
        os._exit(9)
    return decode_all(*words)

decoded, decode_all, decoded_cache._decode_all = [], decoded_cache._decode_all, decode_slowly
accelerator = Accelerator(cpu=True)
accelerator.wait_for_everyone()
for part in (dist.distributed_c10d._get_default_store(), dist.group.WORLD):
    part.set_timeout(timedelta(seconds=1))
with broken_connections():
    for keep in ("memory", "disk"):
        photos = keep_photos(Options(keep=keep), open_folder(Path(sys.argv[1])), accelerator)
        sums = [int(photos.photo(place).sum()) for place in range(len(photos))]
        found = [str(photos.file), len(decoded), sums]
        torch.save(found, Path(sys.argv[2]) / f"{keep}{accelerator.process_index}.pt")
"""


@pytest.mark.slow
def test_two_processes_of_a_machine_share_photos_that_take_longer_to_decode_than_their_group_waits(
    images, tmp_path, monkeypatch
):
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "kept.py").write_text(KEPT)
    run_in_two_processes([tmp_path / "kept.py", images, tmp_path])
    for keep, times in (("memory", 1), ("disk", 2)):
        first, second = (torch.load(tmp_path / f"{keep}{rank}.pt") for rank in range(2))
        assert first[0] == second[0]
        assert (first[1], second[1]) == (times, 0)
        assert first[2] == second[2]


@pytest.mark.slow
def test_a_machine_does_not_wait_for_a_dead_one_to_decode(images, tmp_path):
    (tmp_path / "kept.py").write_text(KEPT)
    words = [tmp_path / "kept.py", images, tmp_path, "dies"]
    alive, dead = start_two_processes(words, LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
    _, errors = alive.communicate(timeout=60)
    assert (alive.returncode, dead.wait()) == (1, 9)
    assert "Another process of this run ended, so process 0 of 2 ends too" in errors
