"""CLSA's strong policy: each operation against its PIL original on real photos, and what is drawn how often."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as TF

from goodviews.pretrain.views import strong_policy
from goodviews.pretrain.views.change import apply
from goodviews.pretrain.views.strong_policy import COLOUR_OPERATIONS, GEOMETRY_OPERATIONS, StrongPolicy

_SPEC = importlib.util.spec_from_file_location(
    "published_clsa", Path(__file__).parents[3] / "benchmarks" / "published_clsa.py"
)
published = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(published)


@pytest.fixture(scope="module", params=[224, 96], ids=["224px", "96px"])
def pictures(request: pytest.FixtureRequest, photos: list[Path]) -> list[Image.Image]:
    size = (request.param, request.param)
    return [Image.open(path).convert("RGB").resize(size, Image.Resampling.BILINEAR) for path in photos]


def as_batch(pictures: list[Image.Image]) -> Tensor:
    return torch.stack([TF.pil_to_tensor(picture) for picture in pictures])


def run(operation: StrongPolicy, batch: Tensor, uniforms: Tensor) -> Tensor:
    return apply(operation.changes(uniforms), batch)


def all_levels(pictures: list[Image.Image]) -> tuple[list[Image.Image], Tensor]:
    """Every magnitude once, each on one of the photos."""
    levels = torch.arange(1, 10, dtype=torch.float64)
    return [pictures[level % len(pictures)] for level in range(9)], levels


def test_the_list_is_the_published_one():
    assert sorted(published.STRONG_NAMES) == sorted([*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS])


@pytest.mark.parametrize("name", COLOUR_OPERATIONS)
def test_a_colour_operation_equals_pillow_at_every_magnitude(pictures: list[Image.Image], name: str):
    shown, levels = all_levels(pictures)
    theirs = [published.strong_operation(name, picture, v, 1) for picture, v in zip(shown, range(1, 10))]
    assert torch.equal(COLOUR_OPERATIONS[name](as_batch(shown), levels), as_batch(theirs))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", GEOMETRY_OPERATIONS)
def test_a_movement_equals_pillow_at_every_magnitude_and_leaves_black(
    pictures: list[Image.Image], name: str, sign: int
):
    shown, levels = all_levels(pictures)
    theirs = as_batch([published.strong_operation(name, picture, v, sign) for picture, v in zip(shown, range(1, 10))])
    ours = GEOMETRY_OPERATIONS[name](as_batch(shown), sign * levels)
    assert torch.equal(ours, theirs)
    corners = ours[-1][:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).all(dim=0).any()


@pytest.mark.parametrize("name", GEOMETRY_OPERATIONS)
def test_a_movement_of_an_oblong_image_equals_pillow(photos: list[Path], name: str):
    picture = Image.open(photos[0]).convert("RGB").resize((90, 61))
    ours = GEOMETRY_OPERATIONS[name](TF.pil_to_tensor(picture)[None], torch.tensor([7.0], dtype=torch.float64))
    assert torch.equal(ours[0], TF.pil_to_tensor(published.strong_operation(name, picture, 7, 1)))


def test_five_draws_equal_the_same_operations_one_after_the_other_in_pillow(pictures: list[Image.Image]):
    names = [*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS]
    numbers = np.random.default_rng(5).random((8, 5, 4))
    shown = [pictures[i % len(pictures)] for i in range(8)]
    ours = run(StrongPolicy(), as_batch(shown), torch.from_numpy(numbers.reshape(8, 20)))
    theirs = []
    for picture, draws in zip(shown, numbers):
        for which, applied, strength, sign in draws:
            if applied < 0.5:
                drawn = names[int(which * 14)]
                picture = published.strong_operation(drawn, picture, 1 + int(strength * 9), -1 if sign < 0.5 else 1)
        theirs.append(picture)
    assert torch.equal(ours, as_batch(theirs))


def test_the_input_is_left_alone_and_an_image_changes_alike_in_any_company(pictures: list[Image.Image]):
    batch, numbers = as_batch(pictures), torch.from_numpy(np.random.default_rng(2).random((4, 20)))
    together = run(StrongPolicy(), batch, numbers)
    assert torch.equal(batch, as_batch(pictures))
    for row in range(4):
        assert torch.equal(run(StrongPolicy(), batch[row : row + 1], numbers[row : row + 1])[0], together[row])


def test_operations_magnitudes_and_signs_are_drawn_alike_and_half_of_the_draws_are_applied(
    monkeypatch: pytest.MonkeyPatch,
):
    seen: dict[str, list[Tensor]] = {name: [] for name in [*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS]}

    def spy(name: str):
        def operation(images: Tensor, v: Tensor) -> Tensor:
            seen[name].append(v)
            return images

        return operation

    monkeypatch.setattr(strong_policy, "COLOUR_OPERATIONS", {name: spy(name) for name in COLOUR_OPERATIONS})
    monkeypatch.setattr(strong_policy, "GEOMETRY_OPERATIONS", {name: spy(name) for name in GEOMETRY_OPERATIONS})
    count = 20_000
    numbers = torch.from_numpy(np.random.default_rng(0).random((count, StrongPolicy().width)))
    run(StrongPolicy(), torch.zeros(count, 3, 1, 1, dtype=torch.uint8), numbers)

    drawn = {name: torch.cat(v) for name, v in seen.items()}
    expected = count * 5 / 2 / 14
    for v in drawn.values():
        assert abs(len(v) - expected) < 4 * expected**0.5
    levels = torch.cat([v.abs() for v in drawn.values()])
    assert sorted(set(levels.tolist())) == [*range(1, 10)]
    counts = torch.bincount(levels.long())[1:].double()
    assert (counts / counts.sum() - 1 / 9).abs().max() < 0.006
    assert all((drawn[name] > 0).all() for name in COLOUR_OPERATIONS)
    negative = torch.cat([drawn[name] < 0 for name in GEOMETRY_OPERATIONS])
    assert abs(negative.float().mean() - 0.5) < 0.02


def test_none_of_the_five_draws_is_applied_to_one_image_in_32():
    numbers = torch.from_numpy(np.random.default_rng(1).random((4000, 5, 4)))
    numbers[..., 0] = 12.5 / 14  # translate_x, to the right only, which changes any image but a black one
    numbers[..., 3] = 0.9
    white = torch.full((4000, 3, 34, 34), 255, dtype=torch.uint8)
    unchanged = (run(StrongPolicy(), white, numbers.flatten(1)) == white).flatten(1).all(dim=1)
    assert abs(unchanged.float().mean() - 1 / 32) < 0.01
