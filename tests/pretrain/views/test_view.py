"""Crop boxes, programs and the random numbers they are drawn from."""

import json
from dataclasses import asdict

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from goodviews.pretrain.data.decode import resized_crop
from goodviews.pretrain.randomness import epoch_order, uniforms
from goodviews.pretrain.views.operations import ColorJitter, CutJigsaw, Flip, Grayscale, Normalize
from goodviews.pretrain.views.rand_augment import RandAugment
from goodviews.pretrain.views.view import CentreCrop, Operation, RandomResizedCrop, View

PROGRAM = (Flip(), ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), RandAugment(), Grayscale(0.2), Normalize())


def test_numbers_depend_on_every_part_of_their_address_and_on_nothing_else():
    here = uniforms(1, 2, 3, 4, 50)
    assert np.array_equal(here, uniforms(1, 2, 3, 4, 50))
    assert np.array_equal(here[:7], uniforms(1, 2, 3, 4, 7))
    for elsewhere in ((0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)):
        assert not np.isin(uniforms(*elsewhere, 50), here).any()


def test_numbers_are_the_same_on_every_machine_and_version():
    assert uniforms(7, 3, 11, 2, 2).tolist() == [0.5527378698193975, 0.3239700774938593]


def test_numbers_are_uniform():
    numbers = np.concatenate([uniforms(0, 0, sample, 0, 100) for sample in range(200)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.abs(np.histogram(numbers, bins=20, range=(0, 1))[0] - 1000).max() < 130


def test_an_epoch_shows_every_image_once_in_its_own_order():
    first, second = epoch_order(5, 0, 1000), epoch_order(5, 1, 1000)
    assert sorted(first) == list(range(1000))
    assert (first == second).mean() < 0.02
    assert np.array_equal(first, epoch_order(5, 0, 1000))


def test_boxes_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    photo = Image.new("RGB", (640, 480))
    theirs = np.array([transforms.RandomResizedCrop.get_params(photo, (0.2, 1), (3 / 4, 4 / 3)) for _ in range(4000)])
    crop = RandomResizedCrop(224, (0.2, 1.0))
    ours = np.array([crop.box(640, 480, uniforms(0, 0, sample, 0, crop.width)) for sample in range(4000)])
    left, top, right, bottom = ours.T
    for mine, published in ((top, 0), (left, 1), (bottom - top, 2), (right - left, 3)):
        deciles = np.quantile(mine, np.arange(0.1, 1, 0.1)), np.quantile(theirs[:, published], np.arange(0.1, 1, 0.1))
        np.testing.assert_allclose(*deciles, atol=10)


def test_a_photo_too_long_for_any_box_is_cropped_at_its_centre():
    crop = RandomResizedCrop(32, (0.9, 1.0))
    assert crop.box(1000, 100, np.full(crop.width, 0.5)) == (433, 0, 566, 100)
    assert crop.box(100, 1000, np.full(crop.width, 0.5)) == (0, 433, 100, 566)


def test_centre_crop_is_the_part_that_resizing_to_256_and_cutting_to_224_leaves():
    assert CentreCrop(224).box(512, 256, np.empty(0)) == (144, 16, 368, 240)
    assert CentreCrop(32, share=1.0).box(41, 100, np.empty(0)) == (0, 29, 41, 70)
    ramp = np.linspace(0, 255, 600).round().astype(np.uint8)[:, None].repeat(3, axis=1)[None].repeat(400, axis=0)
    theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(Image.fromarray(ramp))
    ours = resized_crop(ramp, CentreCrop(224).box(600, 400, np.empty(0)), CentreCrop(224))
    assert np.abs(np.asarray(theirs).astype(int) - ours.permute(1, 2, 0).numpy().astype(int)).max() <= 1


def test_a_view_can_be_published_as_json():
    view = View("query", RandomResizedCrop(224, (0.2, 1.0)), PROGRAM)
    assert json.loads(json.dumps(asdict(view)))["program"][1]["saturation"] == 0.4
    assert all(isinstance(operation, Operation) for operation in view.program)


def test_rendering_gives_each_operation_its_own_numbers():
    view = View("query", RandomResizedCrop(16, (0.2, 1.0)), (Flip(0.5), Grayscale(0.5)))
    assert view.width == view.crop.width + 2
    crops = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    numbers = torch.full((1, view.width), 0.9, dtype=torch.float64)
    numbers[0, -2] = 0.1  # the flip's
    assert torch.equal(view.render(crops, numbers), crops.flip(-1))


def test_rendering_a_batch_equals_rendering_its_parts():
    view = View("query", RandomResizedCrop(48, (0.2, 1.0)), PROGRAM)
    crops = torch.randint(0, 256, (21, 3, 48, 48), dtype=torch.uint8)
    numbers = torch.rand(21, view.width, dtype=torch.float64)
    parts = [view.render(crops[part], numbers[part]) for part in (slice(0, 5), slice(5, 21))]
    assert torch.equal(view.render(crops, numbers), torch.cat(parts))


def test_a_jigsaw_view_is_nine_normalised_patches():
    view = View("jigsaw", RandomResizedCrop(255, (0.6, 1.0)), (Flip(), CutJigsaw(), Normalize()))
    crops = torch.full((2, 3, 255, 255), 128, dtype=torch.uint8)
    patches = view.render(crops, torch.rand(2, view.width, dtype=torch.float64))
    assert patches.shape == (2, 9, 3, 64, 64)
    torch.testing.assert_close(patches[0, :, 1].mean().item(), (128 / 255 - 0.456) / 0.224, rtol=0, atol=1e-5)
