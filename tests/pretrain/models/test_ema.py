"""The key network, its shuffled batch norm, and the queue."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from goodviews.pretrain.models.ema import EmaPair, KeyNetwork
from goodviews.pretrain.models.networks import ContrastiveNetwork, build_network
from goodviews.pretrain.models.queue import KeyQueue
from goodviews.pretrain.objective import draw_orders


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


def test_queue_of_10_takes_batches_of_4_at_0_4_and_8_9_0_1():
    queue = KeyQueue(10, 1)
    for batch in range(3):
        queue.enqueue(torch.full((4, 1), float(batch)))
    assert queue.rows[:, 0].tolist() == [2, 2, 0, 0, 1, 1, 1, 1, 2, 2]
    assert queue.pointer == 2


def test_queue_smaller_than_the_batch_keeps_the_newest_keys():
    queue = KeyQueue(3, 1)
    queue.enqueue(torch.arange(5.0)[:, None])
    assert sorted(queue.rows[:, 0].tolist()) == [2, 3, 4]
    assert queue.rows[queue.pointer].item() == 2  # the oldest is the next to go


def test_queue_starts_as_unit_rows_of_the_seed():
    queue = KeyQueue(50, 8, seed=3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(50))
    assert torch.equal(queue.rows, KeyQueue(50, 8, seed=3).rows)
    assert not torch.equal(queue.rows, KeyQueue(50, 8, seed=4).rows)


def test_orders_are_the_same_again_and_shared_out_between_processes():
    whole = draw_orders(5, 17, batch=8, patches=9)
    second = draw_orders(5, 17, batch=8, patches=9, rank=1, world=2)
    assert torch.equal(whole.keys, second.keys)
    assert torch.equal(whole.patches[4:], second.patches)
    assert all(row.sort().values.tolist() == list(range(9)) for row in whole.patches)
    assert not torch.equal(whole.patches, draw_orders(5, 18, batch=8, patches=9).patches)


@pytest.mark.parametrize(("patches", "parameters"), [(0, 23_508_032 + 4_458_624), (9, 32_572_864)])
def test_resnet50_networks_have_the_published_number_of_parameters(patches, parameters):
    with torch.device("meta"):
        network = build_network("resnet50", head="mlp", dim=128, patches=patches, seed=0)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_equal_seeds_give_equal_networks_and_leave_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = build_network("resnet18", head="mlp", dim=16, patches=9, seed=2)
    assert torch.equal(torch.rand(1), expected)
    second = build_network("resnet18", head="mlp", dim=16, patches=9, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))


def test_residual_branches_can_start_as_nothing():
    plain = build_network("resnet18", head="mlp", dim=16, patches=0, seed=2)
    still = build_network("resnet18", head="mlp", dim=16, patches=0, seed=2, zero_init_last=True)
    assert plain.backbone.layer2[0].bn2.weight.eq(1).all()
    assert still.backbone.layer2[0].bn2.weight.eq(0).all()
    assert still.backbone.layer2[0].conv2.weight.equal(plain.backbone.layer2[0].conv2.weight)
