"""--compile: the whole step goes through torch's compiler once, and nothing that is written shows it.

The compiler's own code (inductor's) takes minutes to write and is left out: graphs are traced, with their backward
pass, and run as they are.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch._dynamo.utils import counters

from goodviews.hub.errors import GoodviewsError, UsageError
from goodviews.pretrain.models.ema import EmaPair, KeyNetwork
from goodviews.pretrain.models.networks import build_network
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import compiled, loop

pytestmark = pytest.mark.precision


@pytest.fixture(autouse=True)
def tracer(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILER", "aot_eager")
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def small(name: str, epochs: int):
    return replace(choose(name), architecture="test_resnet", epochs=epochs)


def test_a_step_is_one_graph_that_later_epochs_take_too_and_teaches_what_the_plain_one_does(images, tmp_path):
    recipe, options = small("moco_v2_smoke", epochs=2), {"knn_every": 0, "precision": "fp32"}
    loop.pretrain(recipe, images, tmp_path / "compiled", Options(compile=True, **options))
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    loop.pretrain(recipe, images, tmp_path / "plain", Options(**options))
    weights = [load_file(tmp_path / run / "encoder" / "model.safetensors") for run in ("compiled", "plain")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match=r"was started with compile False, not True"):
        loop.pretrain(recipe, images, tmp_path / "plain", Options(resume=True, compile=True, precision="fp32"))


def test_with_several_processes_the_backbones_are_compiled_in_place(monkeypatch):
    called = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, backend: called.append((module, backend)))
    network = build_network("test_resnet", head="mlp", dim=8, patches=0, seed=0)
    pair = EmaPair(network, KeyNetwork())
    objective = choose("moco_v2_smoke").objective
    state = SimpleNamespace(network=network, memory=lambda kind: pair)
    assert compiled.compile_step(objective, state, processes=2) is objective
    assert called == [(pair.query.backbone, "aot_eager"), (pair.key.backbone, "aot_eager")]


def test_a_machine_without_a_compiler_is_named_before_anything_is_written(images, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "COMPILER", "inductor")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match="--compile needs a C\\+\\+ compiler, and no-such-compiler is not found here"):
        loop.pretrain(small("moco_v2_smoke", epochs=1), images, tmp_path / "run", Options(compile=True))
    assert not (tmp_path / "run").exists()


def test_what_the_compiler_stops_at_is_one_sentence():
    def broken(graph, inputs):
        raise RuntimeError("C++ compile error\n\nOutput:\nfatal error: Python.h: No such file or directory\n")

    with (
        pytest.raises(GoodviewsError, match=r"\(\"fatal error: Python.h: No such file or directory\"\); install"),
        compiled.failed_compilation(),
    ):
        torch.compile(lambda numbers: numbers + 1, backend=broken)(torch.ones(2))
    with pytest.raises(RuntimeError, match="another"), compiled.failed_compilation():
        raise RuntimeError("another")
