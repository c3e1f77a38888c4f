"""What each published recipe is estimated to cost on ImageNet: hours on eight GPUs, and memory of each.

    python benchmarks/recipe_costs.py infomin_200 clsa_multi_200 --page docs/guides/cluster.md

Nothing here is measured on a GPU. Memory is counted from the tensors that a step keeps (`memory_estimate`). Hours are
the step's floating-point operations, counted by torch, at a rate that a GPU sustains on such networks: `--tflops`, 60
by default, is about 2,500 images a second of plain ResNet-50 training, as an A100 does in bf16. Reading photos in time
is assumed.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from goodviews.pretrain.models.memory import Context, Known, Part
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import RECIPES, choose
from goodviews.pretrain.training.build import build_memories, build_trained_network
from goodviews.pretrain.training.memory_estimate import StepMemory, empty_views, estimate_step

IMAGES = 1_281_167  # of ImageNet's training part
COUNTED = 4  # images whose operations are counted
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"


def published() -> Iterator[str]:
    """The recipes that are named after their epochs."""
    yield from (name for name in RECIPES if re.search(r"_\d+$", name))


def operations(recipe: Recipe) -> float:
    """Floating-point operations an image: forward and backward of the trained network, forward of the EMA copy."""
    cpu, images = torch.device("cpu"), 1000
    network = build_trained_network(recipe, 0, cpu).train()
    context = Context(network, images, recipe.dim, 0, cpu)
    pair = None if recipe.slow is None else recipe.slow.build(context)
    memories = build_memories(replace(recipe, slow=None), context, np.zeros(images, np.int64))
    trained, copied = FlopCounterMode(display=False), FlopCounterMode(display=False)

    def query(*inputs: object) -> object:
        with trained, torch.no_grad():
            return network(*inputs)

    def keys(*inputs: object) -> object:
        with copied:
            return pair.keys(*inputs)  # type: ignore[union-attr, arg-type]

    part = Part(torch.zeros(COUNTED, dtype=torch.int64), 0, 0, float(recipe.epochs))
    known = Known(*(memory.known(part) for memory in memories.values()))
    orders = Orders(torch.arange(COUNTED), torch.zeros(COUNTED, recipe.objective.patches, dtype=torch.int64))
    networks = Networks(query) if pair is None else Networks(query, keys)  # type: ignore[arg-type]
    recipe.objective(networks, known, empty_views(recipe, COUNTED), orders)
    return (3 * trained.get_total_flops() + copied.get_total_flops()) / COUNTED


def rows(names: Sequence[str], tflops: float) -> Iterator[str]:
    """The table's lines; activations are in proportion to the images."""
    heads = ("recipe", "batch", "hours on 8 GPUs", "GB on each of 8", "GB on one", "the same in fp32")
    yield f"| {' | '.join(heads)} | --accumulate on one of 80 GB |"
    yield "|---|---|---|---|---|---|---|"
    for name in names:
        recipe = choose(name)
        hours = operations(recipe) * IMAGES * recipe.epochs / (8 * tflops * 1e12) / 3600
        each, full = (estimate_step(recipe, precision, images=IMAGES, world=8) for precision in ("bf16", "fp32"))
        one, one_full = _on_one(each), _on_one(full)
        parts = one.smallest_accumulate(80 * 10**9)
        sizes = [step.needed(1) / 1e9 for step in (each, one, one_full)]
        memory = f"{' | '.join(f'{size:.0f}' for size in sizes)} | {parts or 'no'}"
        yield f"| `{name}` | {recipe.batch_size} | {hours:.0f} | {memory} |"


def _on_one(each: StepMemory) -> StepMemory:
    """What a step takes in one process, of what it takes in each of 8."""
    return StepMemory(8 * each.images, 8 * each.activations, 8 * each.views, each.state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="Their names; by default all that are named after their epochs")
    parser.add_argument("--tflops", type=float, default=60.0, help="Sustained by one GPU, in 10^12 operations a second")
    parser.add_argument("--page", type=Path, help="Page to put the table into, between its two marks")
    given = parser.parse_args()
    table = "\n".join(rows(given.recipes or [*published()], given.tflops))
    print(table)
    if given.page:
        text = given.page.read_text("utf-8")
        before, _, rest = text.partition(BEGIN)
        given.page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
