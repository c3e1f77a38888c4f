"""NT-Xent by hand and by the paper's formula, and the recipes as published."""

import math

import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.networks import build_network
from goodviews.pretrain.models.optimizers import Lars
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.recipes.simclr import NtXent

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def nt_xent(first, second, temperature=0.1, **networks):
    """With a network that gives back what it is given."""
    seen = Networks(query=lambda crops: (list(crops), None), **networks)
    return NtXent(temperature)(seen, Known(), {"first": first, "second": second}, NO_ORDERS)


def test_loss_is_twice_the_papers_mean_over_all_anchors():
    first, second = unit(3, 8, seed=0), unit(3, 8, seed=1)
    rows, partner = torch.cat([first, second]), [3, 4, 5, 0, 1, 2]
    terms = []
    for i in range(6):
        weight = {j: math.exp(float(rows[i] @ rows[j]) / 0.1) for j in range(6) if j != i}
        terms.append(-math.log(weight[partner[i]] / sum(weight.values())))
    step = nt_xent(first, second)
    assert step.loss.item() == pytest.approx(2 * sum(terms) / 6, rel=1e-5)
    assert step.losses["contrast"].item() == pytest.approx(sum(terms) / 6, rel=1e-5)
    assert step.keys is None


def test_views_that_are_all_alike_score_twice_the_log_of_all_others():
    same = F.normalize(torch.ones(4, 8), dim=1)
    assert nt_xent(same, same).loss.item() == pytest.approx(2 * math.log(7), rel=1e-6)


def test_share_of_partners_found_first():
    rows = torch.eye(4)
    assert nt_xent(rows, rows).metrics["partner_first"] == 1
    assert nt_xent(rows, rows.roll(1, dims=0)).metrics["partner_first"] == 0


def test_a_process_with_half_the_images_has_the_gradient_that_all_processes_losses_give_its_rows():
    first, second = unit(4, 8, seed=0).requires_grad_(), unit(4, 8, seed=1).requires_grad_()
    whole = nt_xent(first, second)
    halves = []
    for rank in range(2):
        mine = slice(2 * rank, 2 * rank + 2)
        rows = iter((first, second))
        halves.append(nt_xent(first[mine], second[mine], everyone=lambda own, rows=rows: next(rows), rank=rank))
    torch.testing.assert_close((halves[0].loss + halves[1].loss) / 2, whole.loss)
    of_whole = torch.autograd.grad(whole.loss, (first, second))
    of_halves = torch.autograd.grad((halves[0].loss + halves[1].loss) / 2, (first, second))
    for ours, theirs in zip(of_halves, of_whole, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_published_settings_are_the_published_ones():
    recipe = choose("simclr_1000")
    assert recipe.optimizer == Lars(4.8, momentum=0.9, weight_decay=1e-6, trust=0.001, remembers="steps")
    assert recipe.optimizer.lr == pytest.approx(0.3 * recipe.batch_size / 256)
    assert (recipe.batch_size, recipe.epochs, recipe.dim, recipe.batch_norm) == (4096, 1000, 128, "shared")
    assert (recipe.slow, recipe.memory, recipe.prototypes) == (None, None, None)
    first, second = recipe.views
    assert first.program == second.program
    assert (first.crop.px, first.crop.scale, first.crop.interpolation) == (224, (0.08, 1.0), "bicubic")
    assert [type(operation).__name__ for operation in first.program] == [
        "Flip",
        "ColorJitter",
        "Grayscale",
        "GaussianBlur",
        "Normalize",
    ]
    assert recipe.preprocessing.mean == (0, 0, 0)
    assert recipe.preprocessing.std == (1, 1, 1)
    assert recipe.preprocessing.interpolation == "bicubic"
    assert choose("simclr_100").epochs == 100


def test_head_has_batch_norm_after_both_layers_and_the_last_without_an_offset():
    with torch.device("meta"):
        head = build_network("resnet50", head="simclr", dim=128, patches=0, seed=0).head
    shapes = {name: tuple(weight.shape) for name, weight in head.named_parameters()}
    assert shapes == {
        "0.weight": (2048, 2048),
        "1.weight": (2048,),
        "1.bias": (2048,),
        "3.weight": (128, 2048),
        "4.weight": (128,),
    }


def test_x2_has_twice_the_channels_after_a_plain_stem():
    with torch.device("meta"):
        backbone = build_network("resnet50", head="simclr", dim=128, patches=0, seed=0, width=2.0).backbone
    assert backbone.num_features == 4096
    assert backbone.conv1.out_channels == 64
    assert backbone.layer1[0].conv1.out_channels == 128
    assert sum(p.numel() for p in backbone.parameters()) == 93_856_576
