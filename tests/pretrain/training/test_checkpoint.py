"""A checkpoint on another device than the one that wrote it."""

from pathlib import Path
from typing import Any

import torch

from goodviews.pretrain.models.networks import build_network
from goodviews.pretrain.models.optimizers import Sgd
from goodviews.pretrain.training import checkpoint
from goodviews.pretrain.training.checkpoint import RunState


def small_state() -> RunState:
    network = build_network("test_resnet", head="mlp", dim=8, patches=0, seed=0)
    return RunState(network, {}, Sgd(0.1).build(network), None)


def step(state: RunState) -> dict[str, Any]:
    for weight in state.network.parameters():
        weight.grad = torch.ones_like(weight)
    state.optimizer.step()
    return state.network.state_dict()


def test_a_run_that_a_gpu_began_goes_on_by_the_kernels_of_a_cpu(tmp_path: Path):
    of_gpu, of_cpu, resumed = (small_state() for _ in range(3))
    of_gpu.optimizer.param_groups[0]["fused"] = True
    of_gpu.optimizer.param_groups[0]["lr"] = of_cpu.optimizer.param_groups[0]["lr"] = 0.2
    for state in (of_gpu, of_cpu):
        step(state)
    checkpoint.save(of_gpu, {}, tmp_path)
    checkpoint.load(resumed, tmp_path)
    [group] = resumed.optimizer.param_groups
    assert (group["fused"], group["lr"]) == (None, 0.2)
    torch.testing.assert_close(step(resumed), step(of_cpu))
