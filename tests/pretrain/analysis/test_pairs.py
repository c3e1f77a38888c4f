import colorsys

import pytest
import torch

from goodviews.pretrain.analysis.colour_spaces import SPACES, ChannelSplit, FrequencySplit, to_hsv
from goodviews.pretrain.analysis.pairs import DistantPatches, aligned_crops, cut, normalized, two_views
from goodviews.pretrain.analysis.photo_arrays import PhotoSet
from goodviews.pretrain.views.operations import Flip
from goodviews.pretrain.views.view import RandomResizedCrop


def test_patches_lie_as_far_apart_as_asked():
    place = torch.arange(20, dtype=torch.uint8)
    image = (place[:, None] * 12 + place[None]).expand(4, 3, 20, 20).clone()
    first, second = DistantPatches(6, 5, 20).draw(
        PhotoSet(image, {}), torch.arange(4), torch.Generator().manual_seed(0)
    )
    assert first.shape == second.shape == (4, 3, 6, 6)
    steps = (second - first)[:, 0] * 0.229 * 255
    torch.testing.assert_close(steps, torch.full((4, 6, 6), 5.0 * 12 + 5), atol=1e-3, rtol=0)


def test_a_cut_is_the_part_of_each_image_at_its_own_place():
    images = torch.arange(2 * 3 * 5 * 5).reshape(2, 3, 5, 5)
    found = cut(images, torch.tensor([0, 2]), torch.tensor([1, 3]), 2)
    assert torch.equal(found[0], images[0, :, 0:2, 1:3])
    assert torch.equal(found[1], images[1, :, 2:4, 3:5])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("alone", [0, 1, 2])
def test_a_split_gives_one_and_two_channels_of_about_unit_spread(split, space, alone):
    one, two = ChannelSplit(space, alone, 12).draw(split.train, torch.arange(8), torch.Generator().manual_seed(0))
    assert (one.shape, two.shape) == ((8, 1, 12, 12), (8, 2, 12, 12))
    assert one.isfinite().all()
    assert two.isfinite().all()
    assert one.abs().max() < 20


def test_hue_saturation_and_value_are_those_of_the_standard_library():
    colour = (40, 180, 60)
    pixel = torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1)
    found = to_hsv(pixel).flatten() * torch.tensor([0.27, 0.22, 0.26]) + torch.tensor([0.35, 0.3, 0.5])
    wanted = torch.tensor(colorsys.rgb_to_hsv(*(channel / 255 for channel in colour)))
    torch.testing.assert_close(found, wanted, atol=1 / 128, rtol=0)


def test_low_and_high_frequencies_add_up_to_the_crop(split):
    rows, pairs = torch.arange(4), FrequencySplit(1.0, 12)
    low, high = pairs.draw(split.train, rows, torch.Generator().manual_seed(3))
    whole = normalized(aligned_crops(split.train.images[rows], 12, 0.2, torch.Generator().manual_seed(3)))
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(low + high * 25 / 255 / std, whole, atol=1e-4, rtol=0)


def test_the_two_views_of_a_pair_are_independent_draws_that_repeat_with_their_seed(split):
    pairs = two_views(RandomResizedCrop(12, scale=(0.3, 1.0)), (Flip(),))
    first, second = pairs.draw(split.train, torch.arange(6), torch.Generator().manual_seed(1))
    again, _ = pairs.draw(split.train, torch.arange(6), torch.Generator().manual_seed(1))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
