"""What a run remembers: an objective finds it by its class; a memory of another kind needs nothing but its own file."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.labels import Labels
from goodviews.pretrain.models.memory import Context, Known, Memory, Part, State, Update
from goodviews.pretrain.models.queue import KeyQueue, QueueRows
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.recipes.simclr import NtXent
from goodviews.pretrain.training import checkpoint, loop


def test_value_is_found_by_its_class():
    rows = QueueRows(torch.eye(2))
    known = Known(None, rows)
    assert known[QueueRows] is rows
    assert known.get(Labels) is None


def test_value_that_no_memory_gives_is_asked_for_in_vain():
    with pytest.raises(UsageError, match=r"asks for Labels, which no memory of this recipe gives"):
        Known(QueueRows(torch.eye(2)))[Labels]


def test_queue_is_given_from_its_epoch_on():
    queue = KeyQueue(4, 2, from_epoch=15)
    before, after = (Part(torch.arange(2), number=0, seed=0, epoch=epoch) for epoch in (14.9, 15.0))
    assert queue.known(before) is None
    assert queue.known(after).rows is queue.rows


@dataclass(frozen=True)
class Centre:
    """A plan: the running mean of all embeddings."""

    momentum: float = 0.9

    def build(self, context: Context) -> "RunningMean":
        return RunningMean(self.momentum, context.dim)


@dataclass(frozen=True)
class Mean:
    row: Tensor


class RunningMean(Memory):
    def __init__(self, momentum: float, dim: int):
        self.momentum, self.row = momentum, torch.zeros(dim)

    def known(self, part: Part) -> Mean:
        return Mean(self.row)

    def after_update(self, update: Update) -> None:
        self.row = self.row.lerp(update.keys.mean(dim=0), 1 - self.momentum)

    def state(self) -> State:
        return {"row": self.row}

    def restore(self, state: State) -> None:
        self.row = state["row"]


@dataclass(frozen=True)
class AroundCentre(NtXent):
    """NT-Xent that also pushes embeddings from their running mean."""

    needs: ClassVar[tuple[type, ...]] = (Centre,)

    def __call__(self, networks, known, views, orders):
        step = super().__call__(networks, known, views, orders)
        (first,), _ = networks.query([views["first"]])
        push = (first @ known[Mean].row).square().mean()
        return replace(step, loss=step.loss + push, losses={**step.losses, "push": push}, keys=first.detach())


def test_memory_of_another_kind_is_asked_saved_and_resumed_bit_for_bit(images, tmp_path, monkeypatch):
    recipe = replace(choose("simclr_smoke"), architecture="test_resnet", objective=AroundCentre(), memory=Centre())
    options = Options(knn_every=0, save_every=2, precision="fp32")
    loop.pretrain(recipe, images, tmp_path / "whole", options)
    step = loop._step

    def step_or_stop(run, batches):
        if run.state.step == 3:
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(recipe, images, tmp_path / "broken", options)
    monkeypatch.undo()
    loop.pretrain(recipe, images, tmp_path / "broken", replace(options, resume=True))
    whole, broken = (
        torch.load(tmp_path / run / "state" / checkpoint.FILE, weights_only=True) for run in ("whole", "broken")
    )
    assert whole["memory"]["row"].norm() > 0
    assert torch.equal(whole["memory"]["row"], broken["memory"]["row"])
    assert all(torch.equal(weight, broken["query"][name]) for name, weight in whole["query"].items())
