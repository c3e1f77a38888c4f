"""BYOL's loss by hand, its target, its two programs, and the budgets as published."""

import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.ema import EmaPair, Keys, Target
from goodviews.pretrain.models.heads import PredictingHead
from goodviews.pretrain.models.losses import squared_distance
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.networks import build_network
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.byol import Byol
from goodviews.pretrain.recipes.registry import choose

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def byol(first, second, target=lambda rows: rows):
    """With networks that give back what they are given."""
    networks = Networks(
        query=lambda crops: (list(crops), None), keys=lambda images, order: Keys(target(images), target(images))
    )
    return Byol()(networks, Known(), {"first": first, "second": second}, NO_ORDERS)


@pytest.mark.parametrize(("angle", "distance"), [(0.0, 0.0), (90.0, 2.0), (180.0, 4.0)])
def test_squared_distance_of_unit_rows_is_two_less_twice_their_cosine(angle, distance):
    turn = torch.tensor(angle).deg2rad()
    there = torch.stack([turn.cos(), turn.sin()])[None]
    assert squared_distance(torch.tensor([[1.0, 0.0]]), there).item() == pytest.approx(distance, abs=1e-6)


def test_loss_is_the_sum_of_both_directions_and_the_target_is_constant():
    first, second = unit(4, 8, seed=0).requires_grad_(), unit(4, 8, seed=1).requires_grad_()
    step = byol(first, second)
    torch.testing.assert_close(step.loss, 2 * ((first - second) ** 2).sum(dim=1).mean())
    torch.testing.assert_close(step.losses["prediction"], step.loss / 2)
    step.loss.backward()
    torch.testing.assert_close(first.grad, -2 * second.detach() / 4)  # as the predicted one only
    assert step.keys is None


@pytest.mark.parametrize(("done", "momentum"), [(0.0, 0.996), (0.5, 0.998), (1.0, 1.0)])
def test_target_gets_slower_on_a_half_cosine(done, momentum):
    assert Target(0.996).momentum_at(done) == pytest.approx(momentum)


def test_target_has_a_projection_and_no_predictor():
    network = build_network("test_resnet", head="byol", dim=16, patches=0, seed=0)
    pair = EmaPair(network, Target(momentum=0.9))
    assert isinstance(network.head, PredictingHead)
    assert pair.key.head.predictor is None
    fast = dict(network.named_parameters())
    assert all(torch.equal(weight, fast[name]) for name, weight in pair.key.named_parameters())
    network.head.eval(), pair.key.head.eval()
    features = torch.randn(4, network.backbone.num_features)
    projected = network.head.projection.project(features)
    torch.testing.assert_close(pair.key.head(features), F.normalize(projected, dim=1))
    torch.testing.assert_close(network.head(features), F.normalize(network.head.predictor(projected), dim=1))


def test_target_takes_the_batchs_statistics_and_keeps_the_order():
    pair = EmaPair(build_network("test_resnet", head="byol", dim=16, patches=0, seed=0), Target(momentum=0.9))
    images = torch.randn(4, 3, 32, 32)
    keys = pair.keys(images, torch.tensor([3, 2, 1, 0]))
    torch.testing.assert_close(keys.own, pair.key.embed(images))
    assert not torch.allclose(keys.own[:2], pair.key.embed(images[:2]))


def test_published_settings_are_the_published_ones():
    for name, lr, decay, momentum in (
        ("byol_40", 0.45, 1e-6, 0.97),
        ("byol_100", 0.45, 1e-6, 0.99),
        ("byol_300", 0.3, 1e-6, 0.99),
        ("byol_1000", 0.2, 1.5e-6, 0.996),
    ):
        recipe = choose(name)
        assert recipe.epochs == int(name.removeprefix("byol_"))
        assert recipe.optimizer.lr == pytest.approx(lr * recipe.batch_size / 256)
        assert (recipe.optimizer.weight_decay, recipe.slow) == (decay, Target(momentum))
        assert (recipe.dim, recipe.batch_norm, recipe.memory) == (256, "shared", None)
    first, second = recipe.views
    assert [first.program[i].p for i in (3, 4)] == [1.0, 0.0]
    assert [second.program[i].p for i in (3, 4)] == [0.1, 0.2]
    assert first.program[:3] == second.program[:3]
    assert first.program[1].brightness_kind == "plus"


def test_heads_have_the_published_sizes():
    with torch.device("meta"):
        head = build_network("resnet50", head="byol", dim=256, patches=0, seed=0).head
    shapes = {name: tuple(weight.shape) for name, weight in head.named_parameters()}
    assert shapes["projection.0.weight"] == (4096, 2048)
    assert shapes["projection.3.weight"] == (256, 4096)
    assert shapes["predictor.0.weight"] == (4096, 256)
    assert "projection.3.bias" not in shapes
    assert "predictor.3.bias" not in shapes
