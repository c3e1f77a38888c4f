"""The one training loop. Objectives, views and networks are handed in; everything that changes, changes here.

A run repeats itself and continues bit for bit: its random numbers come from (seed, step) or (seed, epoch, sample,
view), never from a generator's history, and its state is written whole (see checkpoint). That holds for one machine,
the same libraries and numbers of processes and threads; the number of loader workers may change.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor

from ...hub import artifact
from ...hub.encoder import Encoder, Origin
from ...hub.errors import GoodviewsError
from ...hub.provenance import commit
from ..data.decoded_cache import Keep
from ..data.loader import Batch
from ..models.clusters import QueueAndPrototypes
from ..models.ema import KeyQueue
from ..models.memories import Bank, Clusters, Prototypes, Queue
from ..models.memory_bank import Drawn, MemoryBank
from ..models.networks import PrototypeNetwork
from ..models.schedules import Moment
from ..objective import Step, draw_orders, joined, step_seed
from ..recipe import Recipe, describe
from . import checkpoint, run_folder
from . import continue_from as continued
from . import encoders as published
from .activations import kept_for_backward, said
from .clustering import renew_clusters
from .monitor import Progress
from .online_knn import online_knn
from .precision import Device, Precision
from .prepare import prepare
from .run import Request, Run
from .stop_signals import StopRequest, stop_request

log = logging.getLogger(__name__)

SAVE_AFTER_S = 600.0
ASK_EVERY = 8  # steps, on GPUs


def pretrain(
    recipe: Recipe,
    data: Path | str,
    out: Path,
    *,
    seed: int = 0,
    workers: int = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    resume: bool = False,
    overwrite: bool = False,
    save_every: int | None = None,
    knn_every: int | None = None,
    keep: Keep = "no",
    keep_px: int | None = None,
    tensorboard: bool = False,
    accumulate: int = 1,
    compile: bool = False,
    continue_from: Path | None = None,
    keep_training: bool = False,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train an encoder on a folder of images and write it to OUT/encoder.

    Under torchrun every process calls this with the same arguments; the first one writes.

    Args:
        recipe: what to learn.
        data: a folder, list, shards or Hugging Face dataset (see sources); labels are used by the online kNN only.
        out: the RUN folder (see run_folder).
        seed: decides the initial weights, the order of the images and everything drawn.
        workers: processes that load images; 0 loads in this one. Does not change the result.
        resume: go on from OUT's checkpoint; recipe, data and seed must be as before.
        overwrite: start anew in a folder that holds a run.
        save_every: steps between checkpoints; None: some ten minutes.
        knn_every: epochs between online kNN scores, 0 for none; None: ten of them in a run.
        keep: decode every photo once and keep it in memory, on disk for later runs too, or on the GPU.
        keep_px: the longest that a kept photo's shorter side stays; None keeps photos whole.
        tensorboard: write the metrics for TensorBoard too, to OUT/tensorboard.
        accumulate: parts in which a batch goes through the network, one after another, for less memory. Every part
            meets the queue as it was before the step; keys join it, and weights move, once a step. Batch norm, and
            what an objective compares within a batch, sees a part only.
        compile: let torch.compile make the backbone faster; the first step takes minutes.
        continue_from: an encoder folder with training/ to start from, instead of from random weights (see continued).
        keep_training: put the whole state into OUT/encoder/training at the end, to continue from.
        observe: called with the newest figures.

    Returns:
        OUT/encoder.

    Raises:
        UsageError, OutputExists, DataError: the request cannot be met; nothing was written.
        GoodviewsError: the loss is not a number, the disk is full, or the run was asked to stop.
    """
    run = prepare(
        Request(
            recipe,
            data,
            out,
            seed=seed,
            workers=workers,
            device=device,
            precision=precision,
            resume=resume,
            overwrite=overwrite,
            save_every=save_every,
            keep=keep,
            keep_px=keep_px,
            tensorboard=tensorboard,
            accumulate=accumulate,
            compile=compile,
            continue_from=continue_from,
            keep_training=keep_training,
        ),
        observe,
    )
    if knn_every != 0 and run.accelerator.is_main_process:
        knn = online_knn(run.images, _encoder(run))
        run.gauge = None if knn is None else (knn, knn_every or max(1, recipe.epochs // 10))
    with closing(run.loader), stop_request() as stop:
        _learn(run, stop)
    return out / "encoder"


def _learn(run: Run, stop: StopRequest) -> None:
    """From the current step to the last; evaluation and checkpoints come between two steps."""
    if run.state.step == 0:
        _evaluate(run)
    run.saved_at = time.monotonic()
    while run.state.step < run.steps:
        epoch, start = divmod(run.state.step, run.steps_per_epoch)
        renew_clusters(run, epoch)
        for batches in _batches(run, epoch, start):
            lr = _set_learning_rate(run)
            step = _step(run, batches)
            run.finite.note(run.state.step, step.loss, batches)
            values = {"loss": step.loss, **step.losses, **step.metrics}
            images, wait_s = run.recipe.batch_size, sum(batch.wait_s for batch in batches)
            run.monitor.record(run.state.step, run.epoch, values, lr=lr, images=images, wait_s=wait_s)
            if run.state.step % run.steps_per_epoch == 0:
                _evaluate(run)
            must_stop, must_save = _agree(run, bool(stop), _is_time_to_save(run))
            if must_stop and run.state.step < run.steps:
                _save(run)
                raise GoodviewsError(
                    f"Stopped by {stop.signal or 'another process'} after step {run.state.step} of {run.steps}; "
                    f"everything is saved in {run.out}. Give the same command with --resume to go on."
                )
            if must_save:
                _save(run)
    _save(run)
    if run.request.keep_training and run.accelerator.is_main_process:
        continued.keep_training(run.out / "state", run.out / "recipe.json", run.out / "encoder")


def _batches(run: Run, epoch: int, start: int) -> Iterator[list[Batch]]:
    """For each step of an epoch, from `start` on, the parts of its batch."""
    batches = run.loader.epoch(epoch, start * run.request.accumulate)
    for _ in range(start, run.steps_per_epoch):
        yield [next(batches) for _ in range(run.request.accumulate)]


def _step(run: Run, batches: Sequence[Batch]) -> Step:
    """One step of training: all that changes, in its order."""
    recipe, state, accelerator = run.recipe, run.state, run.accelerator
    run.optimizer.zero_grad()
    parts: list[Step] = []
    for number, batch in enumerate(batches, start=state.step * len(batches)):
        is_last = len(parts) == len(batches) - 1
        with nullcontext() if is_last else accelerator.no_sync(run.networks.query):
            part = _forward(run, batch, number)
            accelerator.backward(part.loss / len(batches))
        parts.append(replace(part, loss=part.loss.detach()))
    step = joined(parts)
    if isinstance(state.network, PrototypeNetwork) and _are_prototypes_frozen(run):
        state.network.prototypes.weight.grad = None
    run.optimizer.step()
    if isinstance(state.network, PrototypeNetwork):
        state.network.keep_unit_rows()
    if state.pair is not None and recipe.slow is not None:
        state.pair.update(recipe.slow.momentum_at(state.step / run.steps))
    if isinstance(state.memory, KeyQueue) and step.keys is not None:
        state.memory.enqueue(step.keys)
    if isinstance(state.memory, MemoryBank) and step.keys is not None:
        samples = [accelerator.gather(batch.samples.to(accelerator.device)) for batch in batches]
        state.memory.write(torch.cat(samples), step.keys)
    state.step += 1
    return step


def _forward(run: Run, batch: Batch, number: int) -> Step:
    """What the objective says of one part of a batch; `number`, of all parts so far, decides what is drawn."""
    recipe, accelerator = run.recipe, run.accelerator
    rank, world = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(step_seed(run.seed, number, rank))  # for backbones that draw, e.g. drop path
    images = recipe.batch_size // run.request.accumulate
    orders = draw_orders(run.seed, number, batch=images, patches=recipe.objective.patches, rank=rank, world=world)
    if run.has_said_memory or run.request.compile:  # a compiled network keeps what its compiler chose
        return recipe.objective(run.networks, _known(run, batch, number), batch.views, orders)
    with kept_for_backward() as kept:
        part = recipe.objective(run.networks, _known(run, batch, number), batch.views, orders)
    if accelerator.is_main_process:
        log.info(said(int(kept), images // world, accelerator.device))
    run.has_said_memory = True
    return part


def _are_prototypes_frozen(run: Run) -> bool:
    plan = run.recipe.prototypes
    return isinstance(plan, Prototypes) and run.epoch < plan.frozen_epochs


def _known(run: Run, batch: Batch, number: int) -> Tensor | QueueAndPrototypes | Drawn | None:
    """What an objective is given beside the views: the queue once in use, with prototypes for PCL; bank; or labels."""
    recipe, memory, accelerator = run.recipe, run.state.memory, run.accelerator
    if recipe.head == "classifier":
        labels = run.loader.source.labels
        assert labels is not None
        return torch.tensor([labels[sample] for sample in batch.samples.tolist()], device=accelerator.device)
    if isinstance(recipe.prototypes, Clusters) and run.state.clusters is not None and isinstance(memory, KeyQueue):
        samples = accelerator.gather(batch.samples.to(accelerator.device))
        drawn = run.state.clusters.draw(samples, recipe.prototypes.negatives, seed=run.seed, step=number)
        return QueueAndPrototypes(memory.rows, drawn)
    if isinstance(recipe.memory, Queue) and isinstance(memory, KeyQueue):
        return memory.rows if run.epoch >= recipe.memory.from_epoch else None
    if isinstance(recipe.memory, Bank) and isinstance(memory, MemoryBank):
        place = {"rank": accelerator.process_index, "world": accelerator.num_processes}
        return memory.draw(batch.samples, recipe.memory.negatives, seed=run.seed, step=number, **place)
    return None


def _set_learning_rate(run: Run) -> float:
    epoch, step = divmod(run.state.step, run.steps_per_epoch)
    at = Moment(epoch, step, run.steps_per_epoch, run.recipe.epochs, run.recipe.batch_size)
    lr = run.recipe.schedule(run.recipe.optimizer.lr, at)
    for group in run.state.optimizer.param_groups:
        group["lr"] = lr
    return lr


def _evaluate(run: Run) -> None:
    """The online kNN, when this epoch's end, the start or the end of the run asks for it."""
    if run.gauge is None or not run.accelerator.is_main_process:
        return
    knn, every = run.gauge
    if round(run.epoch) % every == 0 or run.state.step == run.steps:
        run.monitor.knn(run.state.step, run.epoch, knn(_encoder(run)))


def _is_time_to_save(run: Run) -> bool:
    if run.request.save_every is not None:
        return run.state.step % run.request.save_every == 0
    return time.monotonic() - run.saved_at > SAVE_AFTER_S


def _agree(run: Run, stop: bool, save: bool) -> tuple[bool, bool]:
    """What any process wants, all do: a signal may reach one of them only, and clocks differ.

    To ask means to wait for the GPU, so it is done at few steps there; whoever counts steps to save needs not ask.
    """
    if run.accelerator.num_processes == 1:
        return stop, save
    counted = save if run.request.save_every is not None else False
    if run.accelerator.device.type != "cpu" and run.state.step % ASK_EVERY:
        return False, counted
    wishes = run.accelerator.reduce(torch.tensor([stop, save], device=run.accelerator.device).float(), "sum")
    return bool(wishes[0] > 0), bool(wishes[1] > 0)


def _save(run: Run) -> None:
    """The checkpoint, then the encoder as it is now; by the first process, and not once a loss is no number."""
    run.monitor.require_finite(run.state.step)
    skipped = gather_object([*run.loader.skipped])  # each process meets its own
    if run.accelerator.is_main_process:
        checkpoint.save(run.state, run.monitor.state(), run.out / "state")
        for name, encoder in _encoders(run).items():
            artifact.save(encoder, run.out / name, overwrite=True)
        run_folder.add_skipped(run.out, skipped)
    run.saved_at = time.monotonic()


def _encoder(run: Run) -> Encoder:
    return _encoders(run)["encoder"]


def _encoders(run: Run) -> dict[str, Encoder]:
    """What is published, as it is now, by its folder's name; copied, so that nothing done with it reaches training."""
    knn = {} if run.monitor.knn_top1 is None else {"online_knn_top1": run.monitor.knn_top1}
    origin = Origin(
        name=run.recipe.name,
        recipe=describe(run.recipe),
        dataset=run.dataset,
        epochs=round(run.epoch, 4),
        commit=commit(),
        parent=run.parent,
        metrics={name: round(value, 6) for name, value in run.monitor.last.items()} | knn,
    )
    found = published.backbones(run.state.network, run.recipe).items()
    return {name: Encoder(backbone, run.recipe.preprocessing, origin) for name, backbone in found}
