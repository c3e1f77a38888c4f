"""CLSA against what the published implementation computed, the properties of its match, and the recipes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from goodviews.pretrain.models.ema import EmaPair, KeyNetwork, Keys
from goodviews.pretrain.models.heads import ProjectionHead
from goodviews.pretrain.models.losses import distributional_match, shared_similarities
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.networks import ContrastiveNetwork
from goodviews.pretrain.models.queue import KeyQueue, Queue, QueueRows
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.clsa import Clsa, SymmetricClsa, compare
from goodviews.pretrain.recipes.registry import choose

VECTORS = Path(__file__).parents[2] / "vectors"
FILES = ["clsa_single", "clsa_multi", "clsa_multi_t2"]
NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


class PublishedStep:
    """One step of the published implementation on one process, taken by our parts in the loop's order."""

    def __init__(self, name, dtype=torch.float32):
        with np.load(VECTORS / f"{name}.npz") as content:
            self.v = v = {key: torch.from_numpy(content[key]) for key in content}
            v |= {key: value.to(dtype) for key, value in v.items() if value.is_floating_point()}
        network = ContrastiveNetwork(nn.Flatten(), ProjectionHead(32, 128, "mlp")).to(dtype)
        network.head.load_state_dict(self._head("before.encoder_q"))
        self.pair = EmaPair(network, KeyNetwork(momentum=float(v["momentum"]), group=6))
        self.pair.key.head.load_state_dict(self._head("before.encoder_k"))
        # the published code averages before it makes the keys, we at the end of the step before
        self.pair.update(self.pair.plan.momentum)
        self.queue = KeyQueue(96, 128)
        self.queue.rows = v["before.queue"].T.clone()
        weak, strong = v["weak_pick"].tolist(), v["strong_pick"].tolist()
        views = {"key": v["key_input"]}
        views |= {f"weak_{i}": v["weak_inputs"][i] for i in weak} | {
            f"strong_{i}": v["strong_inputs"][i] for i in strong
        }
        self.views = {name: view[:, :, None, None] for name, view in views.items()}
        self.objective = Clsa(
            tuple(f"weak_{i}" for i in weak),
            tuple(f"strong_{i}" for i in strong),
            temperature=float(v["temperature"]),
            match_temperature=float(v["clsa_temperature"]),
        )
        networks, known = Networks(network, self.pair.keys), Known(QueueRows(self.queue.rows))
        self.step = self.objective(networks, known, self.views, Orders(torch.randperm(6), torch.empty(6, 0)))

    def _head(self, prefix):
        start = f"{prefix}.fc."
        return {name.removeprefix(start): value for name, value in self.v.items() if name.startswith(start)}


@pytest.fixture(scope="module", params=FILES)
def published(request):
    return PublishedStep(request.param)


def test_losses_agree_with_the_published_ones(published):
    v, step = published.v, published.step
    contrast, match = step.losses["contrast"] * v["n_contrastive"], step.losses["match"] * v["n_ddm"]
    torch.testing.assert_close(contrast, v["loss_contrastive"], rtol=1e-5, atol=0)
    torch.testing.assert_close(match, v["loss_ddm"], rtol=1e-5, atol=0)
    torch.testing.assert_close(step.loss, v["loss_contrastive"] + v["loss_ddm"], rtol=1e-5, atol=0)


def test_logits_and_distributions_agree_with_the_published_ones(published):
    v, objective = published.v, published.objective
    keys = published.step.keys
    queries = [published.pair.query.embed(published.views[name[0]]) for name in (objective.weak, objective.strong)]
    weak, strong = (shared_similarities(query, keys, v["before.queue"].T) for query in queries)
    torch.testing.assert_close(weak / objective.temperature, v["logits_first"], rtol=1e-5, atol=1e-5)
    for similar, name in ((weak, "weak_probability_first"), (strong, "strong_probability_first")):
        torch.testing.assert_close((similar / objective.match_temperature).softmax(1), v[name], rtol=1e-4, atol=1e-8)


def test_gradients_agree_with_the_published_ones(published):
    query = published.pair.query
    query.zero_grad()
    published.step.loss.backward(retain_graph=True)
    for name, weight in query.head.named_parameters():
        torch.testing.assert_close(weight.grad, published.v[f"grad.fc.{name}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_gradients_in_float64_agree_with_the_published_ones(name):
    published = PublishedStep(name, torch.float64)
    published.step.loss.backward()
    for name, weight in published.pair.query.head.named_parameters():
        assert weight.grad.dtype == torch.float64
        torch.testing.assert_close(weight.grad, published.v[f"grad.fc.{name}"], rtol=1e-5, atol=1e-6)


def test_key_weights_and_queue_agree_with_the_published_ones(published):
    for name, weight in published.pair.key.head.named_parameters():
        torch.testing.assert_close(weight, published.v[f"after.encoder_k.fc.{name}"], rtol=1e-6, atol=1e-7)
    queue = KeyQueue(96, 128)
    queue.rows.copy_(published.queue.rows)
    queue.enqueue(published.step.keys)
    torch.testing.assert_close(queue.rows, published.v["queue_after"].T, rtol=1e-5, atol=1e-7)
    assert queue.pointer == int(published.v["pointer_after"])


def test_match_is_the_divergence_plus_the_entropy_of_the_weak_distribution():
    weak, strong = torch.randn(4, 9).softmax(dim=1), torch.randn(4, 9)
    divergence = F.kl_div(strong.log_softmax(dim=1), weak, reduction="batchmean")
    entropy = -(weak * weak.log()).sum(dim=1).mean()
    torch.testing.assert_close(distributional_match(strong, weak), divergence + entropy)


def test_match_has_no_gradient_for_the_weak_view_nor_for_keys_and_queue():
    weak, strong, keys, queue = (unit(4, 8, seed=seed).requires_grad_() for seed in range(4))
    compare([weak], [strong], Keys(keys, keys), queue, 0.2, 0.2).match.backward()
    assert strong.grad is not None
    assert weak.grad is None
    assert keys.grad is None
    assert queue.grad is None


def test_match_of_a_view_with_itself_has_no_gradient():
    logits = torch.randn(4, 9, requires_grad=True)
    distributional_match(logits, logits.softmax(dim=1)).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(4, 9), atol=1e-7, rtol=0)


def test_match_stays_finite_where_a_probability_is_zero_in_float32():
    weak, strong = torch.tensor([[0.0, 200.0]]), torch.tensor([[200.0, 0.0]])
    assert distributional_match(strong, weak.softmax(dim=1)) == 200


def test_each_weak_crop_teaches_each_strong_one():
    """The one comparison with the mean distribution equals the mean over all pairs."""
    weak, strong = [unit(4, 8, seed=i) for i in range(3)], [unit(4, 8, seed=i) for i in range(3, 5)]
    keys, queue = Keys(unit(4, 8, seed=5), unit(4, 8, seed=5)), unit(6, 8, seed=6)
    pairs = [compare([w], [s], keys, queue, 0.2, 0.1).match for w in weak for s in strong]
    torch.testing.assert_close(compare(weak, strong, keys, queue, 0.2, 0.1).match, torch.stack(pairs).mean())


def test_query_that_cannot_tell_keys_apart_scores_the_log_of_all_columns():
    same = F.normalize(torch.ones(256, 4), dim=1)
    terms = compare([same], [same], Keys(same, same), same[:1].expand(65536, 4), 0.2, 0.2)
    assert terms.contrast.item() == pytest.approx(11.09425, abs=1e-4)
    assert terms.match.item() == pytest.approx(math.log(256 + 65536), abs=1e-4)


def test_two_processes_have_the_loss_of_one_with_both_their_images():
    """A process finds its own keys by its rank, among the keys of all."""
    weak, strong, keys, queue = (unit(6, 8, seed=seed) for seed in range(4))
    whole = compare([weak], [strong], Keys(keys, keys), queue, 0.2, 0.2)
    halves = [
        compare([weak[part]], [strong[part]], Keys(keys[part], keys, part.start), queue, 0.2, 0.2)
        for part in (slice(0, 3), slice(3, 6))
    ]
    for term in ("contrast", "match", "key_first"):
        torch.testing.assert_close(sum(getattr(half, term) for half in halves) / 2, getattr(whole, term))


def _symmetric(objective, key, weak, strong, queue):
    """With networks that give back what they are given; keys are marked by their sign."""
    networks = Networks(query=lambda crops: (list(crops), None), keys=lambda images, order: Keys(-images, -images))
    views = dict(zip(objective.view_names, (key, weak, strong)))
    return objective(networks, Known(QueueRows(queue)), views, NO_ORDERS)


def test_symmetric_loss_is_that_of_both_directions_and_keeps_the_key_crops_keys():
    key, weak, strong, queue = (unit(4, 8, seed=seed) for seed in range(4))
    step = _symmetric(SymmetricClsa(), key, weak, strong, queue)
    there, back = (_symmetric(Clsa(), *pair, strong, queue) for pair in ((key, weak), (weak, key)))
    torch.testing.assert_close(step.loss, there.loss + back.loss)
    torch.testing.assert_close(step.loss, 2 * (step.losses["contrast"] + step.losses["match"]))
    assert torch.equal(step.keys, -key)


def test_symmetric_loss_is_the_same_when_key_and_weak_crop_change_places():
    key, weak, strong, queue = (unit(4, 8, seed=seed) for seed in range(4))
    losses = [_symmetric(SymmetricClsa(), *pair, strong, queue).loss for pair in ((key, weak), (weak, key))]
    torch.testing.assert_close(*losses)


def test_published_settings_are_the_published_ones():
    single, multi = choose("clsa_200"), choose("clsa_multi_200")
    assert [(view.name, view.crop.px, view.crop.scale) for view in single.views] == [
        ("key", 224, (0.2, 1.0)),
        ("weak_224", 224, (0.2, 1.0)),
        ("strong_96", 96, (0.086, 0.429)),
    ]
    assert [view.crop.px for view in multi.views] == [224, *(224, 192, 160, 128, 96) * 2]
    assert [view.crop.scale for view in multi.views[1:6]] == [view.crop.scale for view in multi.views[6:]]
    assert multi.views[3].crop.scale == (0.143, 0.715)
    weak, strong = ([type(operation).__name__ for operation in view.program] for view in single.views[1:])
    assert weak == ["ColorJitter", "Grayscale", "GaussianBlur", "Flip", "Normalize"]
    assert strong == [*weak[:4], "StrongPolicy", "Normalize"]
    for recipe in (single, multi):
        assert (recipe.objective.temperature, recipe.objective.match_temperature) == (0.2, 0.2)
        assert recipe.objective.match_weight == 1
        assert (recipe.batch_size, recipe.dim) == (256, 128)
        assert (recipe.memory, recipe.slow) == (Queue(65536), KeyNetwork(momentum=0.999, group=32))
        assert (recipe.optimizer.lr, recipe.optimizer.weight_decay, recipe.epochs) == (0.03, 1e-4, 200)
        assert recipe.objective.view_names == tuple(view.name for view in recipe.views)
    assert (choose("clsa_800").epochs, choose("clsa_multi_800").epochs) == (800, 800)
    assert choose("clsa_800") == replace(single, name="clsa_800", epochs=800)
