"""The one training loop. Objectives, views and networks are handed in; everything that changes, changes here.

A run repeats itself and continues bit for bit: its random numbers come from (seed, step) or (seed, epoch, sample,
view), never from a generator's history, and its state is written whole (see checkpoint). That holds for one machine,
the same libraries and numbers of processes and threads; the number of loader workers may change. On a GPU it does not
hold of memory banks (InstDis, PIRL, CMC), where sums of gradients come in any order without the option `deterministic`,
nor with `compile`, which times what to choose; no GPU has shown yet that it holds of the others.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor

from ...hub import artifact
from ...hub.encoder import Encoder
from ...hub.lost_workers import lost_workers
from ..data.loader import Batch
from ..models.memory import Known, Part, Update
from ..models.schedules import Moment
from ..objective import Step, draw_orders, join
from ..options import USUAL, Options
from ..randomness import step_seed
from ..recipe import Recipe
from . import checkpoint, run_folder
from .activations import count_activations, describe_activations
from .clustering import renew_clusters
from .compiled import failed_compilation
from .continue_from import copy_training
from .encoders import backbones, encoders_of
from .failures import broken_connections, said_by_first
from .memory_check import announce_memory, out_of_memory_in_words
from .monitor import Progress
from .online_knn import online_knn
from .prepare import prepare
from .profile_window import profile_window
from .run import Run
from .stop_signals import StopRequest, stop_request

log = logging.getLogger(__name__)

SAVE_AFTER_S = 600.0
ASK_EVERY = 8  # steps, on GPUs
_GO_ON = "Give --resume to go on from the last checkpoint, with fewer --workers."  # another batch would not go on


def pretrain(
    recipe: Recipe,
    data: Path | str,
    out: Path,
    options: Options = USUAL,
    *,
    observe: Callable[[Progress], None] = lambda progress: None,
    start: Encoder | None = None,
    announce: Callable[[], None] = lambda: None,
) -> Path:
    """Train an encoder on a folder of images and write it to OUT/encoder.

    Under torchrun every process calls this with the same arguments; the first one writes.

    Args:
        recipe: what to learn.
        data: a folder, list, shards or Hugging Face dataset (see hub.sources); labels are used by the online kNN, and
            by recipes that learn them.
        out: the RUN folder (see run_folder).
        observe: called with the newest figures.
        start: what `options.init` names, for whoever has read it already.
        announce: called once, after everything was checked and before the first step.

    Returns:
        OUT/encoder.

    Raises:
        UsageError, OutputExists, DataError: the run cannot be done; nothing was written.
        GoodviewsError: the loss is NaN or infinite, the memory or disk is full, or the run was asked to stop.
    """
    with broken_connections(), lost_workers(_GO_ON), ExitStack() as stack:
        run = prepare(recipe, data, out, options, observe, stack=stack, start=start)
        announce()
        if options.knn_every != 0 and run.accelerator.is_main_process:
            knn = online_knn(run.images, encoders_of(run)["encoder"])
            run.gauge = None if knn is None else (knn, options.knn_every or max(1, recipe.epochs // 10))
        announce_memory(run)
        with closing(run.loader), stop_request() as stop, failed_compilation(), out_of_memory_in_words(run):
            _learn(run, stop)
        run.monitor.compare_with_start()
    return out / "encoder"


def _learn(run: Run, stop: StopRequest) -> None:
    """From the current step to the last; evaluation and checkpoints come between two steps."""
    if run.state.step == run.steps and _is_written(run):
        log.info("all %d steps are done; nothing is left to do in %s", run.steps, run.out)
        return
    if run.state.step == 0:
        _evaluate(run)
    run.saved_at = time.monotonic()
    with profile_window(run.monitor.folder, run.options.profile, at=run.state.step) as count_step:
        _all_epochs(run, stop, count_step)
    _save(run)
    if run.options.keep_training and run.accelerator.is_main_process:
        copy_training(run.out / "state", run.out / "recipe.json", run.out / "encoder")


def _all_epochs(run: Run, stop: StopRequest, count_step: Callable[[], None]) -> None:
    while run.state.step < run.steps:
        epoch, start = divmod(run.state.step, run.steps_per_epoch)
        renew_clusters(run, epoch)
        for batches in _batches(run, epoch, start):
            lr = _set_learning_rate(run)
            step = _step(run, batches)
            run.finite.look(run.state.step, step.loss, batches)
            values = {"loss": step.loss, **step.losses, **step.metrics}
            images, wait_s = run.recipe.batch_size, sum(batch.wait_s for batch in batches)
            run.monitor.record(run.state.step, run.epoch, values, lr=lr, images=images, wait_s=wait_s)
            if run.state.step % run.steps_per_epoch == 0:
                _evaluate(run)
                _keep_snapshot(run)
            must_stop, must_save = _agree(run, bool(stop), _is_time_to_save(run))
            if must_stop and run.state.step < run.steps:
                _save(run)
                raise said_by_first(
                    run.accelerator,
                    f"Stopped by {stop.signal or 'another process'} after step {run.state.step} of {run.steps}; "
                    f"everything is saved in {run.out}. Give the same command with --resume to go on.",
                )
            if must_save:
                _save(run)
            count_step()


def _is_written(run: Run) -> bool:
    """Whether the encoders of the last step lie in the folder, so that writing them again would only cost what others
    have put beside them, such as reports."""
    kept = [run.out / "encoder" / "training"] if run.options.keep_training else []
    folders = [run.out / name for name in backbones(run.state.network, run.recipe)]
    if not all(place.is_dir() for place in (*kept, *folders)):
        return False
    return all(artifact.read_config(folder)["goodviews"]["epochs"] == round(run.epoch, 4) for folder in folders)


def _keep_snapshot(run: Run) -> None:
    """The encoder as it is, to stay, when this epoch's end asks for it."""
    every, epoch = run.options.snapshot_every, round(run.epoch)
    if every is None or epoch % every:
        return
    run.monitor.require_finite(run.state.step)
    if run.accelerator.is_main_process:
        curves = run.monitor.lines()
        for name, encoder in encoders_of(run).items():
            artifact.save(encoder, run.out / "snapshots" / f"{name}-{epoch:04d}", overwrite=True, curves=curves)


def _batches(run: Run, epoch: int, start: int) -> Iterator[list[Batch]]:
    """For each step of an epoch, from `start` on, the parts of its batch."""
    batches = run.loader.epoch(epoch, start * run.options.accumulate)
    for _ in range(start, run.steps_per_epoch):
        yield [next(batches) for _ in range(run.options.accumulate)]


def _step(run: Run, batches: Sequence[Batch]) -> Step:
    """One step of training: all that changes, in its order.

    The memories go in the order in which `build` made them: prototypes to unit length, then the EMA copy, then the keys
    into queue or bank.
    """
    state, memories = run.state, run.state.memories.values()
    parts = [_part(run, batch, number) for number, batch in enumerate(batches, start=state.step * len(batches))]
    run.optimizer.zero_grad()
    step = _gradients(run, batches, parts)
    for memory in memories:
        memory.before_update(run.epoch)
    norm = _gradient_norm(run)
    run.optimizer.step()
    for memory in memories:
        memory.after_update(Update(state.step / run.steps, step.keys, parts))
    state.step += 1
    return replace(step, metrics={**step.metrics, **norm})


def _gradient_norm(run: Run) -> dict[str, Tensor]:
    """The length of all gradients taken together; none in fp16, whose scaled gradients overflow by design."""
    gradients = [weight.grad for weight in run.state.network.parameters() if weight.grad is not None]
    if run.state.scaler is not None or not gradients:
        return {}
    return {"grad_norm": torch.stack([*torch._foreach_norm(gradients)]).norm()}


def _part(run: Run, batch: Batch, number: int) -> Part:
    return Part(batch.samples, number, run.options.seed, run.epoch, run.processes)


def _gradients(run: Run, batches: Sequence[Batch], parts: Sequence[Part]) -> Step:
    """The losses and keys of a whole batch, whose gradients are added up part by part."""
    steps: list[Step] = []
    for batch, part in zip(batches, parts, strict=True):
        is_last = part is parts[-1]
        with nullcontext() if is_last else run.accelerator.no_sync(run.networks.query):
            step = _forward(run, batch, part)
            run.accelerator.backward(step.loss / len(batches))
        steps.append(replace(step, loss=step.loss.detach()))
    return join(steps)


def _forward(run: Run, batch: Batch, part: Part) -> Step:
    """What the objective says of one part of a batch; the part's number decides what is drawn."""
    rank, world, images = run.processes.rank, run.processes.world, len(part.samples)
    torch.manual_seed(step_seed(run.options.seed, part.number, rank))  # for backbones that draw, e.g. drop path
    patches = run.recipe.objective.patches
    orders = draw_orders(run.options.seed, part.number, batch=images * world, patches=patches, rank=rank, world=world)
    orders = orders.to(run.accelerator.device)
    known = Known(*(memory.known(part) for memory in run.state.memories.values()))
    if run.has_reported_activations or run.options.compile:  # a compiled step keeps what its compiler chose
        return run.objective(run.networks, known, batch.views, orders)
    with count_activations() as activations:
        step = run.objective(run.networks, known, batch.views, orders)
    if run.accelerator.is_main_process:
        log.info(describe_activations(int(activations), images, run.accelerator.device))
    run.has_reported_activations = True
    return step


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
        run.monitor.knn(run.state.step, run.epoch, knn(encoders_of(run)["encoder"]))


def _is_time_to_save(run: Run) -> bool:
    if run.options.save_every is not None:
        return run.state.step % run.options.save_every == 0
    return time.monotonic() - run.saved_at > SAVE_AFTER_S


def _agree(run: Run, stop: bool, save: bool) -> tuple[bool, bool]:
    """What any process wants, all do: a signal may reach one of them only, and clocks differ.

    To ask means to wait for the GPU, so it is done at few steps there; whoever counts steps to save needs not ask.
    """
    if run.accelerator.num_processes == 1:
        return stop, save
    counted = save if run.options.save_every is not None else False
    if run.accelerator.device.type != "cpu" and run.state.step % ASK_EVERY:
        return False, counted
    wishes = run.accelerator.reduce(torch.tensor([stop, save], device=run.accelerator.device).float(), "sum")
    return bool(wishes[0] > 0), bool(wishes[1] > 0)


def _save(run: Run) -> None:
    """The checkpoint, then the encoder as it is now; by the first process, and not once a loss is NaN or infinite."""
    run.monitor.require_finite(run.state.step)
    skipped = gather_object([*run.loader.skipped])  # each process meets its own
    if run.accelerator.is_main_process:
        checkpoint.save(run.state, run.monitor.state(), run.out / "state")
        for name, encoder in encoders_of(run).items():
            artifact.save(encoder, run.out / name, overwrite=True, curves=run.monitor.lines())
        run_folder.add_skipped(run.out, skipped)
    run.saved_at = time.monotonic()
