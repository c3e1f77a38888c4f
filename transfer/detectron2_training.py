"""Training a detector of detectron2, in one of perhaps several processes: steps, rows, state, batch norm at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .detection import DetectionSettings, Row
from .training_run import (
    STATE_EVERY_S,
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

Batches = Callable[[int, int], Iterator[Any]]  # those of iterations start to stop, counted from 0


def train(
    network: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    settings: DetectionSettings,
    *,
    seed: int,
    evaluate: Callable[[], Row],
    evaluate_every: int = 0,
    state: Path | None = None,
    state_every_s: float = STATE_EVERY_S,
    progress: bool = False,
) -> list[Row]:
    """Trains `network` in place by the losses it returns for a batch, in each process the same.

    Args:
        network: from `detectron2_engine.build_network`.
        optimizer: of its parameters; the rates are set here.
        batches: of this process.
        settings: the schedule, and over how many further batches the statistics of batch norm are measured anew.
        seed: of what torch draws.
        evaluate: scores of `network` as it is, which join the row of their iteration.
        evaluate_every: iterations; 0: never. Training is the same with and without.
        state: the file that a stopped run continues from, written by the first process; None: nothing is kept.
        state_every_s: seconds between two writings of it.
        progress: show a bar.

    Returns:
        About a hundred rows, means over all processes.

    Raises:
        GoodviewsError: training diverged.
    """
    rank, world = rank_and_world()
    stop, window = settings.iterations, window_of(settings.iterations)
    start, rows = continued(state, network, optimizer)
    model = distributed(network.train(), world)
    saved_s, meter = time.monotonic(), Meter(settings.batch_size)
    with private_randomness(network), progress_bar(start, stop, progress and rank == 0) as advance:
        for done, batch in enumerate(_seeded(batches(start, stop), seed, start), start + 1):
            rate = settings.learning_rate(done - 1)
            meter.add(_step(model, optimizer, batch, rate, done))
            advance(meter.images_per_s)
            is_looked_at = evaluate_every > 0 and done % evaluate_every == 0 and done < stop
            if done % window and done < stop and not is_looked_at:
                continue
            rows.append({"iteration": done, **over_processes(meter.means(), network), "lr": rate})
            check_loss(rows[-1])
            if is_looked_at:
                rows[-1] |= _evaluated(model, network, batches, settings, seed, evaluate)
                meter.began_s = time.monotonic()
            if rank == 0:
                log_row(rows[-1], stop)
            if rank == 0 and state is not None and time.monotonic() - saved_s >= state_every_s:
                save_state(state, rows, network, optimizer)
                saved_s = time.monotonic()
        _measure_batch_norm(model, batches, settings, seed)
    return rows


def _seeded(batches: Iterator[Any], seed: int, start: int) -> Iterator[Any]:
    """What torch draws after a batch was given out comes from the seed and the batch's number."""
    rank, _ = rank_and_world()
    for number, batch in enumerate(batches, start + 1):
        seed_iteration(seed, number, rank)
        yield batch


def _step(model: nn.Module, optimizer: Optimizer, batch: Any, rate: float, done: int) -> dict[str, Tensor]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    try:
        losses = model(batch)
    except FloatingPointError:  # detectron2 looks at the boxes it proposes
        raise diverged("network proposes boxes that are not finite", done - 1, rate) from None
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def _evaluated(
    model: nn.Module,
    network: nn.Module,
    batches: Batches,
    settings: DetectionSettings,
    seed: int,
    evaluate: Callable[[], Row],
) -> Row:
    """Scores with batch norm measured as at the end; the running statistics are put back, and training goes on."""
    before = {name: value.clone() for name, value in network.named_buffers()}
    _measure_batch_norm(model, batches, settings, seed)
    row = evaluate()
    for name, value in network.named_buffers():
        value.copy_(before[name])
    model.train()
    return row


def _measure_batch_norm(model: nn.Module, batches: Batches, settings: DetectionSettings, seed: int) -> None:
    """Replaces the running statistics, which lag behind the weights, by those of further training batches.

    Source: Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm" (arXiv:2105.07576), as fvcore computes it.
    """
    from fvcore.nn.precise_bn import update_bn_stats

    start, count = settings.iterations, settings.precise_bn_iterations
    if count:
        update_bn_stats(model, _seeded(batches(start, start + count), seed, start), count)
