"""InfoNCE at its limits, and the heads."""

import math

import torch
import torch.nn.functional as F

from goodviews.pretrain.models.ema import Keys
from goodviews.pretrain.models.heads import JigsawHead, ProjectionHead
from goodviews.pretrain.models.losses import info_nce, info_nce_and_accuracy, key_rank_accuracy
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.queue import QueueRows
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.infomin import InfoMin


def unit(*shape):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(0)), dim=1)


def test_query_that_cannot_tell_its_key_apart_scores_chance():
    same = F.normalize(torch.ones(2, 4), dim=1)
    loss = info_nce(same, same, same[:1].expand(65536, 4), temperature=0.2)
    torch.testing.assert_close(loss, torch.tensor(math.log(65537)), atol=1e-4, rtol=0)
    assert round(math.log(65537), 5) == 11.09037


def test_query_equal_to_its_key_and_opposite_to_the_rest_scores_zero():
    key = F.normalize(torch.ones(2, 4), dim=1)
    assert info_nce(key, key, -key, temperature=0.07) < 1e-6


def test_key_and_negatives_get_no_gradient():
    query, key, negatives = (unit(3, 8).requires_grad_() for _ in range(3))
    info_nce(query, key, negatives, temperature=0.2).backward()
    assert query.grad is not None
    assert key.grad is None
    assert negatives.grad is None


def test_loss_is_float32_from_bfloat16_inputs():
    half = unit(3, 8).bfloat16()
    assert info_nce(half, half, half, temperature=0.2).dtype == torch.float32


def test_accuracy_counts_queries_whose_key_is_nearest():
    query = torch.eye(3)
    key = torch.eye(3)[[0, 2, 1]]
    assert key_rank_accuracy(query, key, -torch.eye(3)) == 1 / 3


def test_infomin_total_of_two_equal_terms_is_that_term():
    query, key, negatives = unit(4, 8), unit(4, 8), unit(6, 8)
    networks = Networks(query=lambda *views: ([query], query), keys=lambda images, order: Keys(key, key))
    views = dict.fromkeys(("query", "key", "jigsaw"), torch.empty(0))
    step = InfoMin()(networks, Known(QueueRows(negatives)), views, Orders(torch.empty(0), torch.empty(0)))
    torch.testing.assert_close(step.loss, step.losses["contrast"])
    torch.testing.assert_close(step.loss, step.losses["jigsaw"])


def test_heads_give_unit_rows_and_are_named_as_published():
    mlp, jigsaw = ProjectionHead(8, 4, "mlp"), JigsawHead(8, 4, "mlp")
    torch.testing.assert_close(mlp(torch.randn(5, 8)).norm(dim=1), torch.ones(5))
    order = torch.arange(9).expand(5, 9)
    torch.testing.assert_close(jigsaw(torch.randn(45, 8), order).norm(dim=1), torch.ones(5))
    assert [*mlp.state_dict()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert {name.rpartition(".")[0] for name in jigsaw.state_dict()} == {"fc1.0", "fc1.2", "fc2"}


def test_moving_patches_and_their_order_together_changes_nothing():
    head = JigsawHead(8, 4, "linear")
    patches, order = torch.randn(2 * 9, 8), torch.rand(2, 9).argsort(dim=1)
    moved = patches.view(2, 9, 8).take_along_dim(order[:, :, None], dim=1).flatten(0, 1)
    in_place = torch.arange(9).expand(2, 9)
    torch.testing.assert_close(head(moved, in_place), head(patches, order))
    assert not torch.allclose(head(patches, in_place), head(patches, order))


def test_loss_and_accuracy_from_one_product_are_those_of_two():
    torch.manual_seed(0)
    query, key, negatives = (F.normalize(torch.randn(n, 8), dim=1) for n in (6, 6, 20))
    loss, accuracy = info_nce_and_accuracy(query, key, negatives, temperature=0.2)
    assert torch.equal(loss, info_nce(query, key, negatives, temperature=0.2))
    assert torch.equal(accuracy, key_rank_accuracy(query, key, negatives))
