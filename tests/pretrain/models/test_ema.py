"""The EMA copy: how its weights follow, and its keys by shuffled batch norm."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from goodviews.pretrain.models import ema
from goodviews.pretrain.models.across_processes import Processes
from goodviews.pretrain.models.ema import EmaPair, KeyNetwork
from goodviews.pretrain.models.networks import ContrastiveNetwork, build_network


class UnitRows(nn.Module):
    def forward(self, x):
        return F.normalize(x, dim=1)


def small_pair(momentum=0.9, group=4):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return EmaPair(ContrastiveNetwork(backbone, UnitRows(), nn.Linear(2, 2)), KeyNetwork(momentum, group))


def test_key_network_starts_equal_to_the_query_network_and_learns_nothing_by_gradient():
    pair = small_pair()
    for name, weight in pair.key.named_parameters():
        assert torch.equal(weight, pair.query.get_parameter(name))
        assert not weight.requires_grad


def test_key_weights_move_once_a_step_by_one_minus_momentum():
    pair = small_pair(momentum=0.9)
    old = pair.key.get_parameter("backbone.0.weight").clone()
    with torch.no_grad():
        pair.query.backbone[0].weight += 1.0
    pair.update(0.9)
    torch.testing.assert_close(pair.key.get_parameter("backbone.0.weight"), old + 0.1)


def test_key_batch_norms_use_batch_statistics_and_keep_running_ones_of_their_own():
    pair = small_pair()
    pair.query.eval()
    pair.keys(torch.randn(8, 3, 6, 6), torch.arange(8))
    pair.update(0.9)
    assert pair.key.backbone[1].training
    assert not torch.equal(pair.key.backbone[1].running_mean, pair.query.backbone[1].running_mean)


def test_key_network_has_no_jigsaw_head():
    assert small_pair().key.jigsaw_head is None


def test_shuffled_keys_come_back_in_the_images_order():
    """Without batch norm the order in which images meet cannot matter."""
    pair = small_pair()
    pair.key.backbone[1].eval()
    images, order = torch.randn(8, 3, 6, 6), torch.tensor([3, 1, 7, 0, 2, 6, 4, 5])
    keys = pair.keys(images, order)
    torch.testing.assert_close(keys.own, pair.key.embed(images))
    assert torch.equal(keys.own, keys.everyone)


def test_keys_share_batch_statistics_within_shuffled_groups_only():
    pair = small_pair(group=4)
    images, order = torch.randn(8, 3, 6, 6), torch.tensor([3, 1, 7, 0, 2, 6, 4, 5])
    keys = pair.keys(images, order).own
    torch.testing.assert_close(keys[order[:4]], pair.key.embed(images[order[:4]]))
    assert not torch.allclose(keys, pair.key.embed(images))


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_18"])  # the second has timm's batch norm that activates
def test_groups_at_once_give_what_groups_one_after_the_other_give(architecture, monkeypatch):
    pair = EmaPair(build_network(architecture, head="simclr", dim=8, patches=0, seed=0), KeyNetwork(group=4))
    images = torch.randn(9, 3, 64, 64, generator=torch.Generator().manual_seed(0))  # groups of 5 and 4
    met, start = [], copy.deepcopy(pair.state())
    pair.key.backbone.register_forward_pre_hook(lambda network, given: met.append(len(given[0])))

    def found():
        pair.restore(start)
        return pair.keys(images, torch.arange(9)).own, copy.deepcopy(pair.state())

    one_after_the_other = found()
    monkeypatch.setattr(ema, "_SAME_FROM", 4)
    torch.testing.assert_close(found(), one_after_the_other, rtol=1e-3, atol=1e-3)
    assert met == [5, 4, 9]


def test_images_travel_in_the_half_precision_in_which_the_first_convolution_takes_them():
    network = build_network("test_resnet", head="mlp", dim=8, patches=0, seed=0).eval()
    images, met = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), []

    def gather(rows: torch.Tensor) -> torch.Tensor:
        met.append(rows.dtype)
        return rows

    def half():
        return torch.autocast("cpu", dtype=torch.bfloat16)

    keys = [
        KeyNetwork(group=2).keys(network, images, torch.arange(4), Processes(0, world, gather), half).own
        for world in (1, 2)
    ]
    assert met == [torch.float32, torch.float32, torch.bfloat16, torch.float32]
    assert torch.equal(*keys)
