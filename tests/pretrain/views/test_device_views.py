"""All views of a step from a plan: what each view alone gives, bit by bit, with few launches and no waiting."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from goodviews.pretrain.data.decode import read_crops
from goodviews.pretrain.data.packed_batch import add_pixels, crops_in, pack, pack_crops, unpack
from goodviews.pretrain.randomness import uniforms
from goodviews.pretrain.recipes.clsa import clsa_views
from goodviews.pretrain.recipes.infomin import infomin_views
from goodviews.pretrain.recipes.registry import RECIPES, choose
from goodviews.pretrain.views import compiled_chains
from goodviews.pretrain.views.change import Change
from goodviews.pretrain.views.compiled_chains import compiled
from goodviews.pretrain.views.device_views import render
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.plan import make_plan
from goodviews.pretrain.views.run_order import runs
from goodviews.pretrain.views.view import RandomResizedCrop, View

from ..pretended_gpu import is_launch

SEVERAL_SIZES = clsa_views(
    RandomResizedCrop(64, (0.2, 1.0)),
    weak=[RandomResizedCrop(64, (0.2, 1.0)), RandomResizedCrop(32, (0.2, 1.0))],
    strong=[RandomResizedCrop(48, (0.2, 1.0)), RandomResizedCrop(32, (0.1, 1.0))],
)
VIEWS = {
    "infomin": infomin_views(px=48, jigsaw_px=63, patch_px=16),
    "clsa, several sizes": SEVERAL_SIZES,
    **{name: choose(name).views for name in RECIPES if name.endswith("_smoke")},
}


def numbers_of(views: tuple[View, ...], images: int, seed: int = 4) -> list[Tensor]:
    return [
        torch.from_numpy(np.stack([uniforms(seed, 0, sample, i, view.width) for sample in range(images)]))
        for i, view in enumerate(views)
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_views_from_a_plan_equal_those_rendered_alone_bit_by_bit(name: str, photos: list[Path]):
    views, count = VIEWS[name], 48
    numbers = numbers_of(views, count)
    crops = [
        read_crops(photos[i % len(photos)], [v.crop for v in views], [n[i].numpy() for n in numbers])
        for i in range(count)
    ]
    by_view = dict(zip([view.name for view in views], zip(*crops, strict=True), strict=True))
    planned = make_plan(views, numbers)
    assert planned is not None
    packed = add_pixels(pack(*planned), [crops_in(pack_crops(views, by_view), views, count)])
    floats, ints, pixels = unpack(packed)
    made = render(packed.plan, pixels, floats, ints)
    for view, its in zip(views, numbers, strict=True):
        assert torch.equal(made[view.name], view.render(torch.stack(by_view[view.name]), its)), view.name


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Graphs are traced as for any compiler, and run as they are."""
    monkeypatch.setattr(compiled_chains, "COMPILER", "eager")
    compiled.cache_clear()
    torch._dynamo.reset()
    counters.clear()
    yield
    compiled.cache_clear()
    torch._dynamo.reset()


def test_compiled_chains_give_the_same_and_are_not_compiled_anew_for_each_step(tracer: None):
    views = VIEWS["clsa, several sizes"]
    for images in (48, 31, 1, 50, 9):
        planned = make_plan(views, numbers_of(views, images, seed=images))
        assert planned is not None
        plan, floats, ints = planned
        pixels = torch.randint(0, 256, (plan.pixels, 3), dtype=torch.uint8)
        plain, made = (render(plan, pixels.clone(), floats, ints, **how) for how in ({}, {"run": compiled}))
        assert all(torch.equal(made[view.name], plain[view.name]) for view in views)
    assert 0 < counters["stats"]["unique_graphs"] <= 6


class Launches(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += is_launch(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "most"), [("moco_v2_200", 250), ("infomin_200", 600), ("clsa_multi_200", 1100)])
def test_a_batch_of_256_takes_few_launches_and_waits_for_nothing(name: str, most: int):
    """On fake CUDA tensors, which refuse whatever the CPU would have to wait for."""
    views = choose(name).views
    planned = make_plan(views, numbers_of(views, 256))
    assert planned is not None
    plan, floats, ints = planned
    with FakeTensorMode(allow_non_fake_inputs=True):
        pixels = torch.empty(plan.pixels, 3, dtype=torch.uint8, device="cuda")
        arrays = [torch.empty(len(a), dtype=a.dtype, device="cuda") for a in (floats, ints)]
        with Launches() as launches:
            made = render(plan, pixels, *arrays)
    assert launches.count <= most
    assert all(view.device.type == "cuda" for view in made.values())


def test_views_with_an_operation_of_ones_own_have_no_plan():
    class Invert:
        width = 0

        def changes(self, uniforms):
            yield Change(lambda images: 255 - images)

    view = View("own", RandomResizedCrop(32, (0.2, 1.0)), (Flip(), Invert(), Normalize()))
    assert make_plan([view], numbers_of((view,), 4)) is None


def test_runs_respect_each_images_order_and_wait_until_a_kind_is_needed_by_all():
    kinds, images = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0]), np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    order = [(kind, chosen.tolist()) for kind, chosen in runs(kinds, images)]
    assert [kind for kind, _ in order] == [0, 0, 1, 0, 0]
    for image in range(3):
        its = [position for _, chosen in order for position in chosen if images[position] == image]
        assert its == sorted(its)
        assert len(its) == 3
