"""The operations of a view's program against their originals in PIL and torchvision, and what they draw."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import functional as TF

from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.views.change import apply
from goodviews.pretrain.views.operations import (
    ColorJitter,
    CutJigsaw,
    Flip,
    GaussianBlur,
    Grayscale,
    Normalize,
    Solarize,
)
from goodviews.pretrain.views.rand_augment import RandAugment
from goodviews.pretrain.views.view import Operation

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module")
def pictures(photos: list[Path]) -> list[Image.Image]:
    """Real photos at 224 x 224."""
    return [Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR) for path in photos]


def as_batch(pictures: list[Image.Image]) -> Tensor:
    return torch.stack([TF.pil_to_tensor(picture) for picture in pictures])


def same_for_all(count: int, *numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float64).expand(count, -1)


def run(operation: Operation, batch: Tensor, uniforms: Tensor) -> Tensor:
    return apply(operation.changes(uniforms), batch)


def draws(operation: Operation, count: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(3).random((count, operation.width)))


def test_every_operation_leaves_its_input_alone(pictures: list[Image.Image]):
    for operation in (Flip(1), ColorJitter(0.4, 0.4, 0.4, 0.1), Grayscale(1), GaussianBlur(p=1), RandAugment(p=1)):
        batch = as_batch(pictures)
        run(operation, batch, draws(operation, len(batch)))
        assert torch.equal(batch, as_batch(pictures)), operation


def test_an_image_changes_alike_in_any_company(pictures: list[Image.Image]):
    batch = as_batch(pictures * 4)
    for operation in (Flip(), ColorJitter(0.8, 0.8, 0.8, 0.2), GaussianBlur(kind="conv23"), RandAugment(), CutJigsaw()):
        numbers = draws(operation, len(batch))
        together = run(operation, batch, numbers)
        for row in range(len(batch)):
            alone = run(operation, batch[row : row + 1], numbers[row : row + 1])
            assert torch.equal(alone[0], together[row]), operation


def test_flip_mirrors_as_pil_and_half_of_the_time(pictures: list[Image.Image]):
    mirrored = as_batch([ImageOps.mirror(picture) for picture in pictures])
    assert torch.equal(run(Flip(0.5), as_batch(pictures), same_for_all(4, 0.4999)), mirrored)
    assert torch.equal(run(Flip(0.5), as_batch(pictures), same_for_all(4, 0.5)), as_batch(pictures))


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.99])
def test_jitter_equals_torchvision_step_after_step(pictures: list[Image.Image], place: float):
    """The four amounts at 0.25, 0.75, 0.1, 0.9 of their ranges; the order is number `place` of the 24."""
    jitter = ColorJitter(0.8, 0.8, 0.8, 0.2)
    ours = run(jitter, as_batch(pictures), same_for_all(4, 0, place, 0.25, 0.75, 0.1, 0.9))
    steps = [
        lambda picture: TF.adjust_brightness(picture, 0.2 + 1.6 * 0.25),
        lambda picture: TF.adjust_contrast(picture, 0.2 + 1.6 * 0.75),
        lambda picture: TF.adjust_saturation(picture, 0.2 + 1.6 * 0.1),
        lambda picture: TF.adjust_hue(picture, -0.2 + 0.4 * 0.9),
    ]
    for step in ORDERS[int(place * 24)]:
        pictures = [steps[step](picture) for picture in pictures]
    assert torch.equal(ours, as_batch(pictures))


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.5, 0.81, 0.999])
def test_brightness_that_is_added_is_a_share_of_the_full_one_for_each_image(
    pictures: list[Image.Image], uniform: float
):
    batch = as_batch(pictures)
    numbers = torch.tensor([[0, 0, u, 0.2, 0.4, 0.6] for u in (uniform, 1 - uniform, 0.5, uniform)]).double()
    ours = run(ColorJitter(0.4, 0, 0, 0, brightness_kind="plus"), batch, numbers)
    amounts = (0.8 * numbers[:, 2] - 0.4)[:, None, None, None]
    theirs = ((batch / 255 + amounts).clamp(0, 1) * 255).round()
    assert torch.equal(ours[2], batch[2])  # half way there is nothing to add
    difference = (ours - theirs).abs()
    assert difference.max() <= 1  # where a half is rounded
    assert (difference > 0).float().mean() < 0.01


def test_simclr_is_given_added_brightness_by_its_field():
    changes = [f"views.{view}.program.1.brightness_kind=times" for view in range(2)]
    assert [view.program[1].brightness_kind for view in choose("simclr_1000", changes).views] == ["times"] * 2
    assert [view.program[1].brightness_kind for view in choose("simclr_1000").views] == ["plus"] * 2


ORDERS = [
    (a, b, c, d) for a in range(4) for b in range(4) for c in range(4) for d in range(4) if len({a, b, c, d}) == 4
]  # written out rather than taken from itertools


def test_hue_equals_torchvision_on_colours_from_the_whole_cube():
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(52, -1, 3)
    picture = Image.fromarray(cube)
    for uniform in (0.0, 0.3, 0.5, 0.77):
        ours = run(ColorJitter(0, 0, 0, 0.5), TF.pil_to_tensor(picture)[None], same_for_all(1, 0, 0, 0, 0, 0, uniform))
        theirs = TF.pil_to_tensor(TF.adjust_hue(picture, -0.5 + uniform))
        difference = (ours[0].int() - theirs.int()).abs()
        assert difference.max() <= 1  # 28 of the 2**24 HSV colours come out one level beside Pillow's RGB
        assert (difference > 0).float().mean() < 1e-4


def test_jitter_of_strength_zero_leaves_the_step_out(pictures: list[Image.Image]):
    numbers = draws(ColorJitter(0, 0, 0, 0), 4)
    assert torch.equal(run(ColorJitter(0, 0, 0, 0), as_batch(pictures), numbers), as_batch(pictures))


def test_grayscale_equals_torchvision(pictures: list[Image.Image]):
    theirs = as_batch([TF.rgb_to_grayscale(picture, 3) for picture in pictures])
    assert torch.equal(run(Grayscale(1), as_batch(pictures), same_for_all(4, 0)), theirs)


@pytest.mark.parametrize("uniform", [0.0, 0.2, 0.4737, 0.63, 0.7, 0.999])
def test_pil_blur_equals_pillow(pictures: list[Image.Image], uniform: float):
    sigma = 0.1 + 1.9 * uniform
    theirs = as_batch([picture.filter(ImageFilter.GaussianBlur(sigma)) for picture in pictures])
    difference = (run(GaussianBlur(p=1), as_batch(pictures), same_for_all(4, 0, uniform)).int() - theirs.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.002  # at some sigma a fixed-point weight is rounded the other way


def test_solarize_equals_pillow(pictures: list[Image.Image]):
    theirs = as_batch([ImageOps.solarize(picture, 128) for picture in pictures])
    assert torch.equal(run(Solarize(1, 128), as_batch(pictures), same_for_all(4, 0)), theirs)


def test_normalize_equals_torchvision(pictures: list[Image.Image]):
    theirs = torch.stack(
        [TF.normalize(TF.to_tensor(p), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) for p in pictures]
    )
    torch.testing.assert_close(run(Normalize(), as_batch(pictures), same_for_all(4)), theirs, rtol=0, atol=1e-6)


def test_jigsaw_patches_equal_the_published_ones_bit_for_bit():
    vector = np.load(VECTORS / "jigsaw_patches.npz")
    image = torch.from_numpy(vector["image"]).permute(2, 0, 1)[None]
    down, across = (torch.from_numpy(vector[name])[None] for name in ("offset_row", "offset_col"))
    patches = CutJigsaw().cut(image, down, across)
    assert torch.equal(patches[0].permute(0, 2, 3, 1), torch.from_numpy(vector["patches"]))


def test_jigsaw_offsets_reach_from_0_to_21_evenly():
    ramp = torch.arange(255).expand(1, 3, 255, 255)  # a pixel's value is its column
    numbers = draws(CutJigsaw(), 400)
    patches = run(CutJigsaw(), ramp.expand(400, -1, -1, -1), numbers)
    offsets = patches[:, :, 0, 0, 0] - torch.arange(9) % 3 * 85
    assert set(offsets.flatten().tolist()) == set(range(22))
    assert torch.bincount(offsets.flatten()).float().std() / (3600 / 22) < 0.15


def test_blur_draws_sigma_evenly():
    dot = torch.zeros(500, 3, 41, 41, dtype=torch.uint8)
    dot[:, :, 20, 20] = 255
    blurred = run(GaussianBlur(p=1, kind="conv23"), dot, draws(GaussianBlur(), 500))
    peak = blurred[:, 0, 20, 20] / 255  # 1 / (2 pi sigma²) for a wide Gaussian
    wide = (peak < 1 / (2 * math.pi * 1.05**2)).float().mean()
    assert abs(wide - 0.5) < 0.06  # half of U(0.1, 2) lies above 1.05
