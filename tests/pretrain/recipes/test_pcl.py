"""PCL: ProtoNCE by hand, which prototypes a step meets, and runs that reach their clusters, also when continued."""

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.clusters import ClusterPrototypes, Clusters, Granularity, ImageClusters, StepPrototypes
from goodviews.pretrain.models.ema import EmaPair, KeyNetwork, Keys
from goodviews.pretrain.models.kmeans import nearest
from goodviews.pretrain.models.losses import info_nce, proto_nce
from goodviews.pretrain.models.memory import Known, Part
from goodviews.pretrain.models.queue import Queue, QueueRows
from goodviews.pretrain.models.schedules import MocoCosine, Moment
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.pcl import PrototypeContrast
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, clustering, loop

pytestmark = pytest.mark.precision

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def everything(count):
    return torch.ones(count, dtype=torch.bool)


def test_proto_nce_by_hand():
    """A query at its own prototype (temperature 0.5), across another (0.2), against a third (1): logits 2, 0, -1."""
    query, prototypes = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    loss = proto_nce(query, prototypes, torch.tensor([0.5, 0.2, 1.0]), everything(3), first=0)
    assert loss.item() == pytest.approx(math.log(math.exp(2) + 1 + math.exp(-1)) - 2, rel=1e-6)


def test_images_of_one_cluster_add_the_log_of_their_number_as_published():
    query, prototypes = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    loss = proto_nce(query, prototypes, torch.full((3,), 0.01), everything(3), first=0)
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)


def test_prototypes_that_do_not_count_take_no_part_and_prototypes_get_no_gradient():
    query, prototypes = unit(2, 8).requires_grad_(), unit(5, 8, seed=1).requires_grad_()
    counts = torch.tensor([True, True, True, False, False])
    loss = proto_nce(query, prototypes, torch.full((5,), 0.2), counts, first=1)
    torch.testing.assert_close(loss, F.cross_entropy(query @ prototypes[:3].detach().T / 0.2, torch.tensor([1, 2])))
    loss.backward()
    assert query.grad.isfinite().all()
    assert prototypes.grad is None


def contrast(known, queries, keys):
    networks = Networks(query=lambda crops: (list(crops), None), keys=lambda images, order: Keys(keys, keys))
    return PrototypeContrast(temperature=0.2)(networks, known, {"query": queries, "key": keys}, NO_ORDERS)


def test_loss_is_that_of_moco_and_from_the_first_clusters_the_mean_over_granularities_too():
    queries, keys, queue = unit(3, 8), unit(3, 8, seed=1), unit(10, 8, seed=2)
    alone = contrast(Known(QueueRows(queue)), queries, keys)
    torch.testing.assert_close(alone.loss, info_nce(queries, keys, queue, temperature=0.2))
    assert alone.losses["prototypes"] == 0
    fine, coarse = (StepPrototypes(unit(n, 8, seed=n), torch.linspace(0.5, 1.5, n), everything(n)) for n in (7, 5))
    step = contrast(Known(QueueRows(queue), ClusterPrototypes((fine, coarse))), queries, keys)
    terms = [
        F.cross_entropy(queries @ each.prototypes.T / (0.2 * each.concentrations), torch.arange(3))
        for each in (fine, coarse)
    ]
    torch.testing.assert_close(step.losses["prototypes"], sum(terms) / 2)
    torch.testing.assert_close(step.loss, alone.loss + sum(terms) / 2)
    assert torch.equal(step.keys, keys)


@pytest.fixture
def clusters():
    made = ImageClusters(Clusters(negatives=5))
    of = torch.arange(40) % 10
    made.granularities = (Granularity(unit(10, 8), torch.linspace(0.5, 1.5, 10), of),)
    return made


def part(number):
    return Part(torch.tensor([3, 13, 7]), number, seed=0, epoch=20)


def test_step_meets_its_images_prototypes_then_others_none_of_them_twice(clusters):
    (drawn,) = clusters.known(part(1)).granularities
    (only,) = clusters.granularities
    assert torch.equal(drawn.prototypes[:3], only.prototypes[[3, 3, 7]])
    assert torch.equal(drawn.concentrations[:3], only.concentrations[[3, 3, 7]])
    others = [(only.prototypes == row).all(dim=1).nonzero().item() for row in drawn.prototypes[3:]]
    assert drawn.counts.all()
    assert len(set(others)) == 5
    assert not {3, 7} & set(others)
    (again,) = clusters.known(part(1)).granularities
    (later,) = clusters.known(part(2)).granularities
    assert torch.equal(drawn.prototypes, again.prototypes)
    assert not torch.equal(drawn.prototypes, later.prototypes)


def test_fewer_others_than_asked_for_all_take_part_and_the_rest_does_not_count(clusters):
    clusters.plan = Clusters(negatives=16384)
    (drawn,) = clusters.known(part(1)).granularities
    assert len(drawn.prototypes) == 3 + 10
    assert drawn.counts.sum() == 3 + 8
    (only,) = clusters.granularities
    assert {3, 7} == {(only.prototypes == row).all(dim=1).nonzero().item() for row in drawn.prototypes[~drawn.counts]}


def test_clusters_come_from_seed_and_epoch_alone():
    rows, plan = unit(50, 8), Clusters(counts=(4, 9), tries=2)

    def made(seed, epoch):
        found, counts = ImageClusters(plan), []
        found.renew(rows, seed=seed, epoch=epoch, nearest=nearest, observe=counts.append)
        assert counts == [4, 9]
        return found

    first = made(0, 3)
    assert [each.prototypes.shape for each in first.granularities] == [(4, 8), (9, 8)]
    torch.testing.assert_close(first.granularities[1].prototypes.norm(dim=1), torch.ones(9))
    assert torch.equal(first.granularities[1].of, made(0, 3).granularities[1].of)
    assert not torch.equal(first.granularities[1].of, made(0, 4).granularities[1].of)
    assert not torch.equal(first.granularities[1].of, made(1, 3).granularities[1].of)


@pytest.fixture(scope="module")
def smoke():
    return replace(choose("pcl_v1_smoke"), architecture="test_resnet")


@pytest.fixture(scope="module")
def unbroken(images, smoke, tmp_path_factory):
    out = tmp_path_factory.mktemp("pcl") / "run"
    loop.pretrain(smoke, images, out, Options(knn_every=0))
    return out


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def state(run):
    return torch.load(run / "state" / checkpoint.FILE, weights_only=True)


def test_smoke_run_trains_an_epoch_without_clusters_and_one_with_them(unbroken):
    assert [line["prototypes"] > 0 for line in lines(unbroken)] == [False] * 4 + [True] * 4
    clustering = state(unbroken)["clusters"]
    assert clustering["epoch"] == 1
    assert [(len(each["prototypes"]), len(each["of"])) for each in clustering["granularities"]] == [(3, 16), (5, 16)]


def test_run_stopped_in_mid_epoch_goes_on_with_the_clusters_it_had(unbroken, images, smoke, tmp_path, monkeypatch):
    step = loop._step

    def step_or_die(run, batches):
        if run.state.step == 6:
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_die)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(smoke, images, tmp_path / "run", Options(save_every=5, knn_every=0))
    assert state(tmp_path / "run")["step"] == 5
    monkeypatch.setattr(loop, "_step", step)
    monkeypatch.setattr(clustering, "embed_images", lambda run, epoch: pytest.fail("the images were embedded again"))
    loop.pretrain(smoke, images, tmp_path / "run", Options(resume=True, knn_every=0))
    before, after = state(unbroken), state(tmp_path / "run")
    for part in ("query", "key"):
        assert all(torch.equal(value, after[part][name]) for name, value in before[part].items())
    for ours, theirs in zip(before["clusters"]["granularities"], after["clusters"]["granularities"], strict=True):
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    weights = [(run / "encoder" / "model.safetensors").read_bytes() for run in (unbroken, tmp_path / "run")]
    assert weights[0] == weights[1]


def test_images_are_embedded_in_order_by_the_resting_key_network(images, smoke, tmp_path, monkeypatch, caplog):
    seen = []
    embed = clustering.embed_images

    def embed_and_check(run, epoch):
        key = run.state.memory(EmaPair).key
        modes = {name: module.training for name, module in key.named_modules()}
        before = {name: value.clone() for name, value in key.named_buffers()}
        rows = embed(run, epoch)
        assert modes == {name: module.training for name, module in key.named_modules()}
        assert all(torch.equal(value, before[name]) for name, value in key.named_buffers())
        (view,) = [clustering.middle(run)]
        photos = torch.cat([batch.views["middle"] for batch in run.loader.in_order(view)])
        alone = torch.cat([_at_rest(key, photo[None]) for photo in photos])
        torch.testing.assert_close(rows, alone, rtol=1e-4, atol=1e-5)
        seen.append(rows)
        return rows

    monkeypatch.setattr(clustering, "embed_images", embed_and_check)
    with caplog.at_level(logging.INFO):
        loop.pretrain(smoke, images, tmp_path / "run", Options(knn_every=0, workers=1, precision="fp32"))
    assert [len(rows) for rows in seen] == [16]
    assert "epoch 1: all 16 images embedded" in caplog.text
    assert "epoch 1: 5 clusters of 16 images" in caplog.text


@torch.no_grad()
def _at_rest(key, photo):
    norms = [module for module in key.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    for module in norms:
        module.eval()
    row = key.embed(photo)
    for module in norms:
        module.train()
    return row


def test_number_of_workers_and_kept_photos_do_not_change_the_clusters(unbroken, images, smoke, tmp_path):
    loop.pretrain(smoke, images, tmp_path / "run", Options(knn_every=0, workers=2, keep="memory"))
    for ours, theirs in zip(*(state(run)["clusters"]["granularities"] for run in (unbroken, tmp_path / "run"))):
        assert torch.equal(ours["of"], theirs["of"])


def test_images_that_cannot_be_read_are_stood_for_by_the_next_one(images, smoke, tmp_path):
    (tmp_path / "data").mkdir()
    for path in images.rglob("*.png"):
        (tmp_path / "data" / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    for name in ("class0_05a", "zzz"):  # the last image's next one is the first
        (tmp_path / "data" / f"{name}.jpg").write_bytes(b"no image")
    plan = replace(smoke.prototypes, from_epoch=0)
    loop.pretrain(replace(smoke, prototypes=plan, epochs=1), tmp_path / "data", tmp_path / "run", Options(knn_every=0))
    for each in state(tmp_path / "run")["clusters"]["granularities"]:
        assert len(each["of"]) == 18
        assert each["of"][6] == each["of"][7]
        assert each["of"][17] == each["of"][0]
    assert len((tmp_path / "run" / "skipped.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"counts": (3, 17)}, r"into 3 and 17 clusters, but the data has 16; give .* 1 to 16, .*counts=\[1\]"),
        ({"counts": (0,)}, r"into 0 clusters"),
        ({"counts": ()}, r"into no clusters"),
        ({"tries": 0}, r"prototypes.tries is 0; it must be 1 or more"),
        ({"from_epoch": -1}, r"prototypes.from_epoch is -1; it must be 0 or more"),
    ],
)
def test_clusters_that_cannot_be_are_refused(changes, sentence, images, smoke, tmp_path):
    recipe = replace(smoke, prototypes=replace(smoke.prototypes, **changes))
    with pytest.raises(UsageError, match=sentence):
        loop.pretrain(recipe, images, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recipe_without_clusters_is_refused_and_one_that_ends_before_them_warned_of(images, smoke, tmp_path, caplog):
    with pytest.raises(UsageError, match=r"PrototypeContrast needs a Clusters, which the recipe lacks"):
        loop.pretrain(replace(smoke, prototypes=None), images, tmp_path / "run")
    loop.pretrain(replace(smoke, epochs=1), images, tmp_path / "run", Options(knn_every=0))
    assert "clusters are made from epoch 1 on, but the run ends after 1" in caplog.text


def test_published_settings_are_the_published_ones():
    v1, v2 = choose("pcl_v1_200"), choose("pcl_v2_200")
    for recipe in (v1, v2):
        assert (recipe.batch_size, recipe.epochs, recipe.dim, recipe.objective.temperature) == (256, 200, 128, 0.2)
        assert (recipe.optimizer.lr, recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.03, 0.9, 1e-4)
        assert (recipe.memory, recipe.slow) == (Queue(16384), KeyNetwork(momentum=0.999, group=32))
        assert recipe.prototypes == Clusters((25000, 50000, 100000), 20, 20, 5, 16384)
    assert (v1.head, v2.head, v2.schedule) == ("linear", "mlp", MocoCosine())
    rates = [v1.schedule(0.03, Moment(epoch, 0, 1, 200, 256)) for epoch in (119, 120, 160)]
    np.testing.assert_allclose(rates, [0.03, 0.003, 0.0003])
    assert [view.program for view in v1.views] == [view.program for view in choose("moco_v1_200").views]
    assert v2.views == choose("moco_v2_200").views
    assert choose("pcl_v1_200", ["prototypes.counts=[10, 20]"]).prototypes.counts == (10, 20)
