"""RandAugment: each operation against its PIL original on real photos, and the distribution of what is drawn."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as TF

from goodviews.pretrain.views import rand_augment
from goodviews.pretrain.views.blur import conv_blur
from goodviews.pretrain.views.change import apply
from goodviews.pretrain.views.rand_augment import COLOUR_OPERATIONS, GEOMETRY_OPERATIONS, RandAugment

_SPEC = importlib.util.spec_from_file_location(
    "published_infomin", Path(__file__).parents[3] / "benchmarks" / "published_infomin.py"
)
published = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(published)


@pytest.fixture(scope="module")
def pictures(photos: list[Path]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR) for path in photos]


def as_batch(pictures: list[Image.Image]) -> Tensor:
    return torch.stack([TF.pil_to_tensor(picture) for picture in pictures])


def run(operation: RandAugment, batch: Tensor, uniforms: Tensor) -> Tensor:
    return apply(operation.changes(uniforms), batch)


def test_the_list_is_the_published_one():
    assert sorted(published.RAND_AUGMENT_NAMES) == sorted([*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS])


@pytest.mark.parametrize("name", COLOUR_OPERATIONS)
@pytest.mark.parametrize("magnitude", [10.0, 9.5, 8.7, 3.0])
def test_a_colour_operation_equals_pillow(pictures: list[Image.Image], name: str, magnitude: float):
    ours = COLOUR_OPERATIONS[name](as_batch(pictures), torch.full((4,), magnitude / 10, dtype=torch.float64))
    theirs = [published.rand_augment_operation(name, picture, magnitude, 1, 2) for picture in pictures]
    assert torch.equal(ours, as_batch(theirs))


@pytest.mark.parametrize("bicubic", [False, True])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", GEOMETRY_OPERATIONS)
@pytest.mark.parametrize("magnitude", [10.0, 9.37])
def test_a_movement_equals_pillow_within_one_level(
    pictures: list[Image.Image], name: str, sign: int, bicubic: bool, magnitude: float
):
    """Pillow interpolates in double and cuts: at a whole number, float32 may fall on the other side.

    That is rare but for bilinear shifts by a plain fraction (100.8 px at magnitude 10): one value in five is whole.
    """
    share = torch.full((4,), sign * magnitude / 10, dtype=torch.float64)
    ours = GEOMETRY_OPERATIONS[name](as_batch(pictures), share, bicubic=bicubic)
    resample = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    theirs = [published.rand_augment_operation(name, picture, magnitude, sign, resample) for picture in pictures]
    difference = (ours.int() - as_batch(theirs).int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < (0.06 if magnitude == 10 else 0.002)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.77, 1.3, 2.0])
def test_conv_blur_equals_the_published_one_within_one_level(pictures: list[Image.Image], sigma: float):
    ours = conv_blur(as_batch(pictures), torch.full((4,), sigma, dtype=torch.float64), radius=11)
    theirs = as_batch([published.conv_blur(picture, sigma) for picture in pictures])
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.01  # cut to 8 bits: sums in another order fall on another side


def test_at_magnitude_ten_solarize_is_the_identity_and_posterize_keeps_four_bits(pictures: list[Image.Image]):
    top = torch.ones(4, dtype=torch.float64)
    assert torch.equal(COLOUR_OPERATIONS["solarize"](as_batch(pictures), top), as_batch(pictures))
    assert torch.equal(COLOUR_OPERATIONS["posterize"](as_batch(pictures), top), as_batch(pictures) // 16 * 16)


def test_each_operation_is_drawn_alike_and_half_of_the_draws_are_applied(monkeypatch: pytest.MonkeyPatch):
    seen: dict[str, list[Tensor]] = {name: [] for name in [*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS]}

    def spy(name: str):
        def operation(images: Tensor, m: Tensor, **kwargs: bool) -> Tensor:
            seen[name].append(m)
            return images

        return operation

    monkeypatch.setattr(rand_augment, "COLOUR_OPERATIONS", {name: spy(name) for name in COLOUR_OPERATIONS})
    monkeypatch.setattr(rand_augment, "GEOMETRY_OPERATIONS", {name: spy(name) for name in GEOMETRY_OPERATIONS})
    count = 30_000
    numbers = torch.from_numpy(np.random.default_rng(0).random((count, RandAugment().width)))
    run(RandAugment(), torch.zeros(count, 3, 1, 1, dtype=torch.uint8), numbers)

    drawn = {name: torch.cat(m) for name, m in seen.items()}
    for m in drawn.values():
        assert abs(len(m) - count / 15) < 4 * (count / 15) ** 0.5  # 2 draws, half of them applied, 15 operations
    magnitude = torch.cat([m.abs() for m in drawn.values()]) * 10
    assert abs((magnitude == 10).float().mean() - 0.5) < 0.015
    assert abs((magnitude < 9.5).float().mean() - 0.1587) < 0.01  # a standard deviation below
    assert (magnitude < 8.5).float().mean() < 0.004
    negative = torch.cat([drawn[name] < 0 for name in GEOMETRY_OPERATIONS])
    assert abs(negative.float().mean() - 0.5) < 0.02


def test_one_image_in_four_is_left_as_it_is(pictures: list[Image.Image]):
    batch = as_batch(pictures[:1])[:, :, ::16, ::16].expand(2000, -1, -1, -1)
    numbers = torch.from_numpy(np.random.default_rng(1).random((2000, RandAugment().width)))
    unchanged = (run(RandAugment(), batch, numbers) == batch).flatten(1).all(dim=1).float().mean()
    # Besides the quarter without an application, Solarize at magnitude 10 and Posterize or others may change nothing.
    assert 0.25 - 0.03 < unchanged < 0.25 + 0.08
