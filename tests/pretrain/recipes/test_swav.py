"""SwAV: assignments by hand, the loss over all pairs of crops, prototypes, and the recipes as published."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.losses import sinkhorn
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.networks import build_prototype_network
from goodviews.pretrain.models.optimizers import Larc
from goodviews.pretrain.models.queue import Queue, QueueRows
from goodviews.pretrain.models.schedules import Moment
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.recipes.swav import Swav

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def step_of(crops, prototypes, queue=None, **settings):
    """With a network that gives back what it is given; the first two crops are large."""
    small = tuple(f"small_{i}" for i in range(len(crops) - 2))
    objective = Swav(small=small, **settings)
    networks = Networks(query=lambda sets: (torch.cat(list(sets)), prototypes))
    return objective(
        networks, Known(None if queue is None else QueueRows(queue)), dict(zip(objective.view_names, crops)), NO_ORDERS
    )


def test_sinkhorn_agrees_with_the_paper_worked_out_in_numpy():
    scores = np.random.default_rng(0).normal(size=(6, 4)) * 0.1
    q = np.exp(scores / 0.05).T
    q /= q.sum()
    for _ in range(3):
        q *= (1 / 4) / q.sum(axis=1, keepdims=True)
        q *= (1 / 6) / q.sum(axis=0, keepdims=True)
    ours = sinkhorn(torch.from_numpy(scores), epsilon=0.05, iterations=3)
    np.testing.assert_allclose(ours, (q / q.sum(axis=0)).T, rtol=1e-5)


def test_sinkhorn_uses_all_prototypes_alike_even_when_all_images_prefer_one():
    scores = torch.tensor([[1.0, 0.9], [1.0, 0.8], [1.0, 0.7], [1.0, 0.6]])
    shares = sinkhorn(scores, epsilon=0.05, iterations=100)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(shares.sum(dim=0), torch.tensor([2.0, 2.0]), rtol=1e-3, atol=0)
    assert shares[0, 1] > 0.9  # the image that minds least goes where the others would not


def test_loss_is_the_mean_over_large_crops_of_the_mean_over_all_others():
    crops, prototypes = [unit(5, 8, seed=seed) for seed in range(4)], unit(6, 8, seed=9)
    total = 0.0
    for i in range(2):
        q = sinkhorn(crops[i] @ prototypes.T, epsilon=0.05, iterations=3)
        others = [
            -(q * (crop @ prototypes.T / 0.1).log_softmax(dim=1)).sum(dim=1).mean()
            for j, crop in enumerate(crops)
            if j != i
        ]
        total += sum(others) / 3 / 2
    torch.testing.assert_close(step_of(crops, prototypes).loss, total)


def test_network_that_sees_no_difference_scores_the_log_of_the_number_of_prototypes():
    same = F.normalize(torch.ones(4, 8), dim=1)
    assert step_of([same] * 3, same[:1].expand(7, 8)).loss.item() == pytest.approx(math.log(7), rel=1e-5)


def test_queue_takes_part_in_the_assignment_only_and_keys_hold_both_large_crops():
    crops, prototypes = [unit(4, 8, seed=seed) for seed in range(2)], unit(6, 8, seed=9)
    queue = torch.cat([unit(10, 8, seed=7), unit(10, 8, seed=8)], dim=1)
    step = step_of(crops, prototypes, queue)
    total = 0.0
    for i in range(2):
        rows = torch.cat([queue[:, 8 * i : 8 * i + 8], crops[i]])
        q = sinkhorn(rows @ prototypes.T, epsilon=0.05, iterations=3)[-4:]
        total += -(q * (crops[1 - i] @ prototypes.T / 0.1).log_softmax(dim=1)).sum(dim=1).mean() / 2
    torch.testing.assert_close(step.loss, total)
    assert torch.equal(step.keys, torch.cat(crops, dim=1))


def test_assignments_have_no_gradient():
    crops, prototypes = [unit(4, 8, seed=seed).requires_grad_() for seed in range(2)], unit(6, 8, seed=9)
    step = step_of(crops, prototypes)
    codes = [sinkhorn(crop.detach() @ prototypes.T, epsilon=0.05, iterations=3) for crop in crops]
    again = sum(F.cross_entropy(crops[1 - i] @ prototypes.T / 0.1, codes[i]) for i in range(2)) / 2
    for ours, theirs in zip(torch.autograd.grad(step.loss, crops), torch.autograd.grad(again, crops), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_two_processes_have_the_loss_of_one_with_both_their_images():
    crops, prototypes = [unit(6, 8, seed=seed) for seed in range(3)], unit(5, 8, seed=9)
    keys = torch.cat(crops[:2], dim=1)
    losses = []
    for rank in range(2):
        mine = [crop[3 * rank : 3 * rank + 3] for crop in crops]
        objective = Swav(small=("small_1",))
        networks = Networks(lambda sets: (torch.cat(list(sets)), prototypes), everyone=lambda rows: keys, rank=rank)
        losses.append(objective(networks, Known(), dict(zip(objective.view_names, mine)), NO_ORDERS).loss)
    torch.testing.assert_close(sum(losses) / 2, step_of(crops, prototypes).loss)


def test_prototypes_start_at_length_one_and_are_put_back_to_it():
    network = build_prototype_network("test_resnet", prototypes=5, dim=8, seed=0)
    torch.testing.assert_close(network.prototypes.weight.norm(dim=1), torch.ones(5))
    with torch.no_grad():
        network.prototypes.weight.mul_(3)
    network.normalize_prototypes()
    torch.testing.assert_close(network.prototypes.weight.norm(dim=1), torch.ones(5))


def test_head_sees_the_crops_of_all_sides_in_one_batch():
    network = build_prototype_network("test_resnet", prototypes=5, dim=8, seed=0).train()
    seen = []
    network.head.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    embeddings, prototypes = network([torch.randn(4, 3, 32, 32), torch.randn(2, 3, 16, 16)])
    assert seen == [6]
    assert embeddings.shape == (6, 8)
    assert prototypes is network.prototypes.weight


def test_published_settings_are_the_published_ones():
    large, small = choose("swav_800"), choose("swav_b256_400")
    assert [(view.crop.px, view.crop.scale) for view in large.views] == [(224, (0.14, 1.0))] * 2 + [
        (96, (0.05, 0.14))
    ] * 6
    assert large.optimizer == Larc(4.8, momentum=0.9, weight_decay=1e-6, trust=0.001)
    assert (large.batch_size, large.prototypes.count, large.dim, large.memory) == (4096, 3000, 128, None)
    assert large.schedule(4.8, Moment(0, 0, 313, 800, 4096)) == 0.3
    assert (small.batch_size, small.optimizer.lr, small.memory) == (256, 0.6, Queue(3840, parts=2, from_epoch=15))
    assert small.schedule(0.6, Moment(399, 5004, 5004, 400, 256)) == pytest.approx(0.0006)
    two = choose("swav_2x224_400")
    assert [view.crop.scale for view in two.views] == [(0.08, 1.0)] * 2
    assert large.preprocessing.std == (0.228, 0.224, 0.225)
    epochs = {name: choose(name).epochs for name in ("swav_100", "swav_200", "swav_400", "swav_b256_200")}
    assert list(epochs.values()) == [100, 200, 400, 200]
