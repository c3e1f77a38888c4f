"""The memory bank against what PyContrast computed, what it draws, and the recipes as published."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.across_processes import Processes
from goodviews.pretrain.models.losses import bank_logits
from goodviews.pretrain.models.memory import Known, Part
from goodviews.pretrain.models.memory_bank import Bank, BankRows, MemoryBank
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.instdis_pirl import InstanceContrast, Pirl
from goodviews.pretrain.recipes.registry import choose

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


@pytest.fixture
def v():
    with np.load(Path(__file__).parents[2] / "vectors" / "memory_bank.npz") as content:
        return {key: torch.from_numpy(content[key]) for key in content}


def pirl_step(v):
    """The published step by our objective, from the embeddings on."""
    image, patches = v["feature"].requires_grad_(), v["feature_jigsaw"].requires_grad_()
    objective = Pirl(temperature=float(v["temperature"]), jigsaw_weight=float(v["beta"]))
    networks = Networks(query=lambda crops, patch, order: ([image], patches))
    known = Known(BankRows(v["bank_before"][None], v["drawn_index"]))
    return objective(networks, known, dict.fromkeys(objective.view_names, torch.empty(0)), NO_ORDERS), image, patches


def test_losses_and_gradients_agree_with_pycontrast(v):
    step, image, patches = pirl_step(v)
    torch.testing.assert_close(step.losses["contrast"], v["loss_instance"], rtol=1e-5, atol=0)
    torch.testing.assert_close(step.losses["jigsaw"], v["loss_jigsaw"], rtol=1e-5, atol=0)
    torch.testing.assert_close(step.loss, v["loss"], rtol=1e-5, atol=0)
    step.loss.backward()
    torch.testing.assert_close(image.grad, v["grad_feature"], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(patches.grad, v["grad_feature_jigsaw"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("feature", "logits"), [("feature", "logits"), ("feature_jigsaw", "logits_jigsaw")])
def test_logits_agree_with_pycontrast(v, feature, logits):
    ours = bank_logits(v[feature], v["bank_before"], v["drawn_index"], temperature=float(v["temperature"]))
    torch.testing.assert_close(ours, v[logits], rtol=1e-5, atol=1e-5)


def test_bank_is_written_as_pycontrasts(v):
    bank = MemoryBank(*v["bank_before"].shape, Bank(momentum=float(v["momentum"])))
    bank.rows.copy_(v["bank_before"][None])
    bank.write(v["index"], pirl_step(v)[0].keys)
    torch.testing.assert_close(bank.rows[0], v["bank_after"], rtol=1e-5, atol=1e-7)


def test_instdis_is_pirl_without_patches(v):
    networks = Networks(query=lambda crops: ([v["feature"]], None))
    known = Known(BankRows(v["bank_before"][None], v["drawn_index"]))
    step = InstanceContrast(float(v["temperature"]))(networks, known, {"image": torch.empty(0)}, NO_ORDERS)
    torch.testing.assert_close(step.loss, v["loss_instance"], rtol=1e-5, atol=0)


def test_rows_that_are_all_alike_score_the_log_of_all_drawn():
    same = F.normalize(torch.ones(3, 4), dim=1)
    networks = Networks(query=lambda crops: ([same], None))
    step = InstanceContrast()(
        networks, Known(BankRows(same[None], torch.zeros(3, 8, dtype=torch.long))), {"image": same}, NO_ORDERS
    )
    assert step.loss.item() == pytest.approx(math.log(8), rel=1e-5)


def test_own_row_comes_first_and_draws_repeat_and_do_not_depend_on_the_processes():
    bank, samples = MemoryBank(50, 4, Bank(negatives=20)), torch.tensor([3, 11, 40, 7])
    whole = bank.known(Part(samples, number=5, seed=1, epoch=0))
    assert torch.equal(whole.places[:, 0], samples)
    assert whole.places.shape == (4, 21)
    assert int(whole.places.min()) >= 0
    assert int(whole.places.max()) < 50
    second = bank.known(Part(samples[2:], number=5, seed=1, epoch=0, processes=Processes(rank=1, world=2)))
    assert torch.equal(second.places, whole.places[2:])
    assert not torch.equal(bank.known(Part(samples, number=6, seed=1, epoch=0)).places, whole.places)


def test_rows_are_drawn_uniformly_over_all_images():
    bank = MemoryBank(10, 2, Bank(negatives=1000))
    images = Part(torch.zeros(100, dtype=torch.long), number=0, seed=0, epoch=0)
    counts = bank.known(images).places[:, 1:].flatten().bincount()
    assert (counts / 100_000 - 0.1).abs().max() < 0.005


def test_rows_stay_at_length_one_and_the_last_embedding_of_an_image_counts():
    bank = MemoryBank(4, 3, Bank(momentum=0.0, banks=2))
    before = bank.rows.clone()
    new = F.normalize(torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0)), dim=2)
    bank.write(torch.tensor([2, 0, 2]), new.flatten(1))
    torch.testing.assert_close(bank.rows.norm(dim=2), torch.ones(2, 4))
    torch.testing.assert_close(bank.rows[:, 2], new[2])
    torch.testing.assert_close(bank.rows[:, 0], new[1])
    assert torch.equal(bank.rows[:, [1, 3]], before[:, [1, 3]])


def test_published_settings_are_the_published_ones():
    instdis, pirl = choose("instdis_200"), choose("pirl_200")
    for recipe in (instdis, pirl):
        assert (recipe.memory, recipe.objective.temperature, recipe.head) == (Bank(65536, momentum=0.5), 0.07, "linear")
        assert (recipe.optimizer.lr, recipe.optimizer.weight_decay, recipe.batch_size) == (0.03, 1e-4, 256)
        assert (recipe.views[0].crop.scale, recipe.epochs, recipe.slow) == ((0.08, 1.0), 200, None)
        names = [type(operation).__name__ for operation in recipe.views[0].program]
        assert names == ["Flip", "ColorJitter", "Grayscale", "Normalize"]
    assert (pirl.views[1].crop.px, pirl.views[1].crop.scale) == (255, (0.6, 1.0))
    assert pirl.objective.jigsaw_weight == 0.5
