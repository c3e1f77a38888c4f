"""The one training loop of detectors: steps, rows, the state of a stopped run, batch norm measured at the end.

An engine hands in what is its own: a network, an optimizer, batches, the losses of a batch, how batch norm is measured.
It may be one of several processes, which all do the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .settings import DetectionSettings, Row
from .training_run import (
    Meter,
    check_loss,
    continued,
    distributed,
    diverged,
    log_row,
    over_processes,
    private_randomness,
    progress_bar,
    rank_and_world,
    save_state,
    seed_iteration,
    window_of,
)

STATE_EVERY_S = 300.0


@dataclass(frozen=True)
class Learner:
    """What an engine trains, and how. Its functions are given the network in training, perhaps wrapped for sharing
    gradients.
    """

    network: nn.Module
    optimizer: Optimizer  # of the network's parameters; the loop sets its rates
    batches: Callable[[int, int], Iterator[Any]]  # of this process, iterations start to stop, counted from 0
    losses: Callable[[nn.Module, Any], dict[str, Tensor]]  # of a batch; FloatingPointError where boxes are not finite
    measure_batch_norm: Callable[[nn.Module, Iterator[Any]], None]  # running statistics become those of the batches


def train(
    learner: Learner,
    settings: DetectionSettings,
    *,
    seed: int,
    evaluate: Callable[[], Row] | None = None,
    evaluate_every: int = 0,
    state: Path | None = None,
    state_every_s: float | None = None,
    progress: bool = False,
) -> list[Row]:
    """Trains the network in place, then measures its batch norm statistics anew over further batches.

    Args:
        learner: the same in each process, but for its batches.
        settings: the schedule, and over how many batches batch norm is measured.
        seed: of what torch draws.
        evaluate: scores of the network as it is, which join the row of their iteration.
        evaluate_every: iterations; 0: never. Training is the same with and without.
        state: the file that a stopped run continues from, written by the first process; None: nothing is kept.
        state_every_s: seconds between two writings of it; None: `STATE_EVERY_S`.
        progress: show a bar.

    Returns:
        About a hundred rows, means over all processes: iteration (how many were done), losses (means since the last
        row), lr, images_per_s, and the scores.

    Raises:
        GoodviewsError: training diverged.
    """
    network, optimizer = learner.network, learner.optimizer
    rank, world = rank_and_world()
    stop, window = settings.iterations, window_of(settings.iterations)
    every_s = STATE_EVERY_S if state_every_s is None else state_every_s
    start, rows = continued(state, network, optimizer)
    model = distributed(network.train(), world)
    saved_s, meter = time.monotonic(), Meter(settings.batch_size)
    with private_randomness(network), progress_bar(start, stop, progress and rank == 0) as advance:
        for done, batch in enumerate(_seeded(learner, seed, start, stop), start + 1):
            rate = settings.learning_rate(done - 1)
            meter.add(_step(learner, model, batch, rate, done))
            advance(meter.images_per_s)
            is_looked_at = evaluate_every > 0 and done % evaluate_every == 0 and done < stop
            if done % window and done < stop and not is_looked_at:
                continue
            rows.append({"iteration": done, **over_processes(meter.means(), network), "lr": rate})
            check_loss(rows[-1])
            if evaluate is not None and is_looked_at:
                rows[-1] |= _evaluated(learner, model, settings, seed, evaluate)
                meter.began_s = time.monotonic()
            if rank == 0:
                log_row(rows[-1], stop)
            if rank == 0 and state is not None and time.monotonic() - saved_s >= every_s:
                save_state(state, rows, network, optimizer)
                saved_s = time.monotonic()
        _measure_batch_norm(learner, model, settings, seed)
    return rows


def _seeded(learner: Learner, seed: int, start: int, stop: int) -> Iterator[Any]:
    """Batches; what torch draws after one was given out comes from the seed and the batch's number."""
    rank, _ = rank_and_world()
    for number, batch in enumerate(learner.batches(start, stop), start + 1):
        seed_iteration(seed, number, rank)
        yield batch


def _step(learner: Learner, model: nn.Module, batch: Any, rate: float, done: int) -> dict[str, Tensor]:
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    try:
        losses = learner.losses(model, batch)
    except FloatingPointError:
        raise diverged("network proposes boxes that are not finite", done - 1, rate) from None
    learner.optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    learner.optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def _evaluated(
    learner: Learner, model: nn.Module, settings: DetectionSettings, seed: int, evaluate: Callable[[], Row]
) -> Row:
    """Scores with batch norm measured as at the end; the running statistics are put back, and training goes on."""
    before = {name: value.clone() for name, value in learner.network.named_buffers()}
    _measure_batch_norm(learner, model, settings, seed)
    row = evaluate()
    for name, value in learner.network.named_buffers():
        value.copy_(before[name])
    model.train()
    return row


def _measure_batch_norm(learner: Learner, model: nn.Module, settings: DetectionSettings, seed: int) -> None:
    """Replaces the running statistics, which lag behind the weights, by those of further training batches.

    Source: Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm" (arXiv:2105.07576), section 3.
    """
    start, count = settings.iterations, settings.precise_bn_iterations
    if count:
        learner.measure_batch_norm(model, _seeded(learner, seed, start, start + count))
