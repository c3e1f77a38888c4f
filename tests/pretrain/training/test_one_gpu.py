"""One step of every method on a GPU that is not there: no tensor of the CPU is met, and the CPU waits for nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data.join import join
from goodviews.pretrain.data.loader import Batch, ViewLoader
from goodviews.pretrain.models.queue import Queue
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import RECIPES, choose
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.build import Parts, build

from ..pretended_gpu import CUDA, PretendedGpu

SMOKE = sorted(name for name in RECIPES if name.endswith("_smoke"))
OTHERS = ["clsa_symmetric_200", "moco_v2_imagenette", "swav_imagenette"]


class OneGpu:
    """Stands in for accelerate's Accelerator: one process, one GPU."""

    device, process_index, num_processes, is_main_process, scaler = CUDA, 0, 1, True, None

    autocast = staticmethod(nullcontext)

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def gather(self, rows: Tensor) -> Tensor:
        return rows

    def no_sync(self, network: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()


def parts_of(recipe: Recipe) -> tuple[object, ...]:
    """Kinds of what learns and remembers."""
    names = ("objective", "memory", "prototypes", "slow")
    return (*(type(getattr(recipe, name)) for name in names), recipe.head)


def steps_of(recipe: Recipe) -> set[type]:
    """The optimiser, and the operations of the views."""
    return {type(recipe.optimizer), *(type(operation) for view in recipe.views for operation in view.program)}


def small(name: str) -> Recipe:
    recipe = choose(name)
    if name in OTHERS:
        memory = replace(recipe.memory, size=8) if isinstance(recipe.memory, Queue) else recipe.memory
        recipe = replace(recipe, batch_size=4, memory=memory)
    if recipe.head == "classifier":
        recipe = replace(recipe, dim=2)
    return replace(recipe, architecture="test_resnet" if recipe.width == 1 and recipe.branches == 1 else "resnet18")


def started(recipe: Recipe, images: Path, accelerator: OneGpu) -> tuple[Any, Parts]:
    """As much of a run as a step needs."""
    options = Options(precision="fp32")
    parts = build(recipe, options, open_folder(images), accelerator)  # type: ignore[arg-type]
    run = SimpleNamespace(
        recipe=recipe,
        options=options,
        accelerator=accelerator,
        processes=parts.processes,
        networks=parts.networks,
        objective=recipe.objective,
        optimizer=parts.optimizer,
        state=parts.state,
        steps=10,
        epoch=0.0,
        has_reported_activations=True,
    )
    return run, parts


def on_device(loader: ViewLoader, worker_batch: Any) -> Batch:
    return loader._batch(join([worker_batch], loader.views), loader.views, 0.0)


def worker_batches(recipe: Recipe, images: Path) -> Iterator[Any]:
    """What loader workers hand over for a GPU."""
    loader = ViewLoader(open_folder(images), recipe.views, batch_size=recipe.batch_size, seed=0, workers=0, device=CUDA)
    assert loader._reading is not None
    return iter(loader._reading._loader)


def test_what_every_recipe_is_made_of_is_among_what_is_tried():
    tried = [small(name) for name in (*SMOKE, *OTHERS)]
    parts, steps = {parts_of(recipe) for recipe in tried}, set().union(*map(steps_of, tried))
    for name in RECIPES:
        assert parts_of(choose(name)) in parts, name
        assert steps_of(choose(name)) <= steps, name


@pytest.mark.parametrize("name", [*SMOKE, *OTHERS])
def test_a_step_meets_no_tensor_of_the_cpu_and_waits_for_nothing(name: str, images: Path):
    recipe = small(name)
    first, second = (next(worker_batches(recipe, images)) for _ in range(2))
    with PretendedGpu() as gpu:
        run, parts = started(recipe, images, OneGpu())
        loop._step(run, [on_device(parts.loader, first)])  # optimisers make their buffers, and read the learning rate
        before = len(gpu.counts.blocking)
        step = loop._step(run, [on_device(parts.loader, second)])
        assert gpu.counts.blocking[before:] == []
    assert step.loss.device == CUDA
