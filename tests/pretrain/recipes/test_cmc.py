"""CMC: the two-modality step against PyContrast's, colours by hand, and what is published of two branches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goodviews.hub import ydbdr
from goodviews.hub.artifact import check, load
from goodviews.pretrain.models.ema import KeyNetwork, Keys
from goodviews.pretrain.models.losses import bank_logits
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.memory_bank import Bank, BankRows
from goodviews.pretrain.models.networks import build_two_branch_network
from goodviews.pretrain.models.queue import KeyQueue, Queue, QueueRows
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.cmc import CrossBank, CrossQueue
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.build import build_trained_network
from goodviews.pretrain.views.operations import Normalize
from goodviews.pretrain.views.rand_augment import EIGHT

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("name", ["cmc_smoke", "cmc_learned_smoke"])
def test_colours_are_separated_in_float32_in_mixed_precision(name, monkeypatch):
    recipe, cpu = replace(choose(name), architecture="resnet18"), torch.device("cpu")
    network, met = build_trained_network(recipe, 0, cpu).eval(), []
    separate = type(network).channels
    monkeypatch.setattr(type(network), "channels", lambda self, images: met.append(separate(self, images)) or met[-1])
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network.embed(images)
    assert met[0].dtype == torch.float32
    assert torch.equal(met[0], separate(network, images))


def test_queue_step_agrees_with_pycontrast():
    with np.load(Path(__file__).parents[2] / "vectors" / "cmc_queue.npz") as content:
        v = {key: torch.from_numpy(content[key]) for key in content}
    luma, chroma = v["query_l"].requires_grad_(), v["query_ab"].requires_grad_()
    keys = torch.cat([v["key_l"], v["key_ab"]], dim=1)
    networks = Networks(
        query=lambda crops: ([torch.cat([luma, chroma], dim=1)], None), keys=lambda images, order: Keys(keys, keys)
    )
    queue = torch.cat([v["queue_l"], v["queue_ab"]], dim=1)
    views = dict.fromkeys(("query", "key"), torch.empty(0))
    step = CrossQueue(temperature=float(v["temperature"]))(networks, Known(QueueRows(queue)), views, NO_ORDERS)
    torch.testing.assert_close(step.loss, v["loss"], rtol=1e-5, atol=0)
    step.loss.backward()
    torch.testing.assert_close(luma.grad, v["grad_query_l"], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(chroma.grad, v["grad_query_ab"], rtol=1e-4, atol=1e-7)
    assert torch.equal(step.keys, keys)


def test_bank_step_compares_each_branch_with_the_others_rows_at_the_same_places():
    luma, chroma, banks = unit(3, 4, seed=0), unit(3, 4, seed=1), unit(2, 9, 4, seed=2)
    places = torch.randint(9, (3, 6), generator=torch.Generator().manual_seed(0))
    networks = Networks(query=lambda crops: ([torch.cat([luma, chroma], dim=1)], None))
    step = CrossBank(0.07)(networks, Known(BankRows(banks, places)), {"image": torch.empty(0)}, NO_ORDERS)
    own = torch.zeros(3, dtype=torch.long)
    pairs = ((luma, banks[1]), (chroma, banks[0]))
    expected = [F.cross_entropy(bank_logits(rows, bank, places, temperature=0.07), own) for rows, bank in pairs]
    torch.testing.assert_close(step.loss, sum(expected))
    assert torch.equal(step.keys, torch.cat([luma, chroma], dim=1))


def test_colours_are_normalised_ydbdr():
    rgb = np.array([[[1.0, 0.0, 0.0], [0.2, 0.5, 0.9]]])
    y = rgb @ [0.299, 0.587, 0.114]
    db, dr = rgb @ [-0.45, -0.883, 1.333], rgb @ [-1.333, 1.116, 0.217]
    wanted = [(y - 0.457) / 0.5, (db + 0.082) / 1.331, (dr + 0.052) / 1.333]
    image = (torch.from_numpy(rgb) - torch.tensor(ydbdr.MEAN)).float()
    ours = torch.einsum("kc,hwc->khw", torch.tensor(ydbdr.TO_YDBDR), image)
    np.testing.assert_allclose(ours, np.stack(wanted), atol=1e-6)


def test_queue_of_two_parts_starts_with_two_unit_rows_side_by_side():
    rows = KeyQueue(20, 8, parts=2).rows
    torch.testing.assert_close(rows.unflatten(1, (2, 8)).norm(dim=2), torch.ones(20, 2))


def test_luma_does_not_see_colour_and_chroma_does_not_see_brightness():
    network = build_two_branch_network("test_resnet", head="linear", dim=8, seed=0, width=0.5).eval()
    image = torch.rand(1, 3, 32, 32)
    matrix = torch.tensor(ydbdr.TO_YDBDR)
    for channel, same, other in ((0, slice(8, 16), slice(0, 8)), (1, slice(0, 8), slice(8, 16))):
        only = torch.linalg.solve(matrix, torch.eye(3)[channel])[:, None, None]  # changes this channel alone
        before, after = network.embed(image), network.embed(image + only * torch.rand(1, 1, 32, 32))
        torch.testing.assert_close(after[:, same], before[:, same], rtol=1e-3, atol=1e-4)
        assert not torch.allclose(after[:, other], before[:, other], rtol=1e-3, atol=1e-4)


@pytest.mark.precision
def test_both_branches_are_published_as_encoders_that_take_rgb(images, tmp_path):
    recipe = replace(choose("cmc_smoke"), architecture="test_resnet")
    runs, save = [], loop._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_save", lambda run: (runs.append(run), save(run)))
        loop.pretrain(recipe, images, tmp_path / "run", Options(knn_every=0))
    network = runs[-1].state.network.eval()
    batch = torch.rand(2, 3, 32, 32)
    colours_of = torch.einsum("kc,nchw->nkhw", network.colours, batch)
    for name, branch, part in (
        ("encoder", network.backbone, slice(0, 1)),
        ("encoder_chroma", network.chroma, slice(1, 3)),
    ):
        encoder = load(tmp_path / "run" / name)
        assert check(tmp_path / "run" / name) == []
        assert encoder.model_args == {"channels": [32, 64, 128, 256]}
        with torch.no_grad():
            torch.testing.assert_close(encoder(batch), branch(colours_of[:, part]), rtol=1e-3, atol=1e-4)
    assert encoder.preprocessing.mean == ydbdr.MEAN


def test_published_settings_are_the_published_ones():
    cmc, v2 = choose("cmc_200"), choose("cmc_v2_200")
    assert (cmc.objective.temperature, cmc.head, cmc.memory) == (0.07, "linear", Bank(65536, momentum=0.5, banks=2))
    assert (v2.objective.temperature, v2.head, v2.memory) == (0.2, "mlp", Queue(65536, parts=2))
    assert v2.slow == KeyNetwork(momentum=0.999, group=32)
    assert [view.crop.scale for view in (*cmc.views, *v2.views)] == [(0.08, 1.0), (0.2, 1.0), (0.2, 1.0)]
    assert [type(operation).__name__ for operation in cmc.views[0].program] == ["Flip", "ColorJitter", "Normalize"]
    assert v2.views[0].program[3].operations == EIGHT
    assert cmc.views[0].program[-1] == Normalize(mean=ydbdr.MEAN, std=(1.0, 1.0, 1.0))
    with torch.device("meta"):
        network = build_two_branch_network("resnet50", head="linear", dim=128, seed=0, width=0.5)
    assert (network.backbone.num_features, network.backbone.conv1.weight.shape) == (1024, (64, 1, 7, 7))
    assert (network.chroma.num_features, network.chroma.conv1.weight.shape) == (1024, (64, 2, 7, 7))
