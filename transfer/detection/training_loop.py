"""The one training loop of detectors: steps, rows, the state of a stopped run, batch norm measured at the end.

An engine gives what is its own: a network, an optimizer, batches, the losses of a batch, how batch norm is measured.
It may be one of several processes, which all do the same. What is drawn in an iteration comes from the seed and the
iteration's number alone, so a stopped run continues from its state as if it had never stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..processes.sharing import mean_over_processes, rank_and_world, share_gradients
from ..seeds import STEP, torch_seed
from ..task import SAVE_EVERY_S
from ..training_state import Row, TrainingState, show_rows
from .settings import DetectionSettings
from .training_progress import Meter, check_loss, divergence, iterations_per_row, log_row, training_bar

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learner:
    """What an engine trains, and how. Its functions get the network in training, perhaps wrapped to share gradients."""

    network: nn.Module
    optimizer: Optimizer  # of the network's parameters; the loop sets its learning rates
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
    state_every_s: float = SAVE_EVERY_S,
    tensorboard: Path | None = None,
    progress: bool = False,
) -> list[Row]:
    """Trains the network in place, then measures its batch norm statistics anew over further batches.

    Args:
        learner: The same in each process, but for its batches.
        settings: The schedule, and over how many batches batch norm is measured.
        seed: Of what torch draws.
        evaluate: Scores the network as it is; the scores join the row of their iteration.
        evaluate_every: Iterations between two evaluations; 0: never. Training is the same with and without.
        state: The file that a stopped run continues from, written by the first process; None: nothing is saved. After
            the last iteration it is always written, so the same run later trains nothing and only scores.
        state_every_s: Seconds between two saves of it.
        tensorboard: The folder in which the first process writes the rows for TensorBoard; None: it does not.
        progress: Show a bar.

    Returns:
        About a hundred rows, means over all processes: iteration (how many are done), losses (means since the last
        row), lr, images_per_s, and the scores.

    Raises:
        GoodviewsError: training diverged.
        ArtifactError: the state is damaged or of another run.
    """
    network, (rank, _) = learner.network, rank_and_world()
    stop, per_row = settings.iterations, iterations_per_row(settings.iterations)
    saved = TrainingState(state, {"network": network, "optimizer": learner.optimizer}, state_every_s)
    rows = _restore(saved)
    start = int(rows[-1]["iteration"]) if rows else 0
    model, meter = share_gradients(network.train()), Meter(settings.batch_size)
    with (
        _private_randomness(network),
        show_rows(tensorboard if rank == 0 else None, rows, "iteration") as show,
        training_bar(start, stop, progress and rank == 0) as advance,
    ):
        for done, batch in enumerate(_seeded_batches(learner, seed, start, stop), start + 1):
            rate = settings.learning_rate(done - 1)
            meter.add(_step(learner, model, batch, rate, done))
            advance(meter.images_per_s)
            is_evaluated = evaluate is not None and evaluate_every > 0 and done % evaluate_every == 0 and done < stop
            if done % per_row and done < stop and not is_evaluated:
                continue
            row = mean_over_processes(meter.take_row(), next(network.parameters()).device)
            rows.append({"iteration": done, **row, "lr": rate})
            check_loss(rows[-1])
            if evaluate is not None and is_evaluated:
                rows[-1] |= _evaluate_midway(learner, model, settings, seed, evaluate)
                meter.restart_clock()
            if rank == 0:
                log_row(rows[-1], stop)
                show(rows[-1])
                saved.save(rows) if done == stop else saved.save_if_due(rows)
        _measure_batch_norm(learner, model, settings, seed)
    return rows


def _restore(saved: TrainingState) -> list[Row]:
    rows = saved.restore()
    if rows:
        log.info("continuing after iteration %d, from %s", rows[-1]["iteration"], saved.path)
    return rows


@contextmanager
def _private_randomness(network: nn.Module) -> Iterator[None]:
    """Leaves torch's global generators, from which engines sample regions, as they were."""
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _seeded_batches(learner: Learner, seed: int, start: int, stop: int) -> Iterator[Any]:
    """The batches; what torch draws after one was given out comes from the seed and the batch's number."""
    rank, _ = rank_and_world()
    for number, batch in enumerate(learner.batches(start, stop), start + 1):
        torch.manual_seed(torch_seed(seed, STEP, number, *([rank] if rank else [])))
        yield batch


def _step(learner: Learner, model: nn.Module, batch: Any, rate: float, done: int) -> dict[str, Tensor]:
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    try:
        losses = learner.losses(model, batch)
    except FloatingPointError:
        raise divergence("network proposes boxes that are not finite", done - 1, rate) from None
    learner.optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    learner.optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def _evaluate_midway(
    learner: Learner, model: nn.Module, settings: DetectionSettings, seed: int, evaluate: Callable[[], Row]
) -> Row:
    """Scores with batch norm measured as at the end; then puts the running statistics back, and training goes on."""
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
        learner.measure_batch_norm(model, _seeded_batches(learner, seed, start, start + count))
