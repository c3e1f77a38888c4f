"""CLSA's term on SimCLR and BYOL: the base's loss stays, and the strong view is drawn to what the weak ones see."""

import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.ema import Keys
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.byol import Byol
from goodviews.pretrain.recipes.clsa_on_others import ByolClsa, SimclrClsa
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.recipes.simclr import NtXent

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))
ECHO = Networks(query=lambda crops: (list(crops), None), keys=lambda images, order: Keys(images, images))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def three_views():
    names = ("first", "second", "strong")
    return {name: unit(4, 8, seed=seed).requires_grad_() for seed, name in enumerate(names)}


@pytest.mark.parametrize(("base", "with_term"), [(NtXent(), SimclrClsa()), (Byol(), ByolClsa())])
def test_loss_is_the_bases_and_both_matches(base, with_term):
    views = three_views()
    alone, step = base(ECHO, Known(), views, NO_ORDERS), with_term(ECHO, Known(), views, NO_ORDERS)
    torch.testing.assert_close(step.loss, alone.loss + 2 * step.losses["match"])
    (term,) = alone.losses
    torch.testing.assert_close(step.losses[term], alone.losses[term])


@pytest.mark.parametrize("objective", [SimclrClsa(), ByolClsa()])
def test_match_teaches_the_strong_view_only(objective):
    views = three_views()
    objective(ECHO, Known(), views, NO_ORDERS).losses["match"].backward()
    assert views["strong"].grad.abs().sum() > 0
    assert views["first"].grad is None or views["first"].grad.abs().sum() == 0
    assert views["second"].grad is None or views["second"].grad.abs().sum() == 0


def test_match_on_byol_is_over_the_targets_of_the_batch():
    views = {name: view.detach() for name, view in three_views().items()}
    terms = []
    for weak, target in (("first", "second"), ("second", "first")):
        p = (views[weak] @ views[target].T / 0.2).softmax(dim=1)
        r = (views["strong"] @ views[target].T / 0.2).log_softmax(dim=1)
        terms.append(-(p * r).sum(dim=1).mean())
    step = ByolClsa()(ECHO, Known(), views, NO_ORDERS)
    torch.testing.assert_close(step.losses["match"], sum(terms) / 2)


def test_match_on_simclr_is_over_all_views_of_the_batch_but_the_images_own():
    views = {name: view.detach() for name, view in three_views().items()}
    terms = []
    for weak, partner in (("first", "second"), ("second", "first")):
        columns = torch.cat([views[partner], views[weak]])
        for i in range(4):
            others = [j for j in range(8) if j != 4 + i]
            p = (views[weak][i] @ columns[others].T / 0.2).softmax(dim=0)
            r = (views["strong"][i] @ columns[others].T / 0.2).log_softmax(dim=0)
            terms.append(-(p * r).sum())
    step = SimclrClsa()(ECHO, Known(), views, NO_ORDERS)
    torch.testing.assert_close(step.losses["match"], sum(terms) / 8)


@pytest.mark.parametrize(("name", "base"), [("simclr_clsa_200", "simclr_1000"), ("byol_clsa_300", "byol_300")])
def test_recipes_add_a_strong_crop_to_an_unchanged_base(name, base):
    ours, theirs = choose(name), choose(base)
    assert ours.views[:2] == theirs.views
    strong = ours.views[2]
    assert (strong.crop.px, strong.crop.scale) == (96, (0.086, 0.429))
    assert [type(operation).__name__ for operation in strong.program[-2:]] == ["StrongPolicy", "Normalize"]
    for field in ("optimizer", "schedule", "batch_size", "head", "dim", "slow", "batch_norm", "zero_init_last"):
        assert getattr(ours, field) == getattr(theirs, field)
