"""The supervised baseline learns labels, says how many it gets right, and refuses data without them."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

from goodviews.hub.artifact import load
from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.labels import Labels
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.optimizers import Sgd
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.recipes.supervised import Classify
from goodviews.pretrain.training import loop

pytestmark = pytest.mark.precision


@pytest.fixture(scope="module")
def small():
    return replace(choose("supervised_smoke"), architecture="test_resnet")


def test_two_colours_are_learned_and_the_backbone_is_kept_without_its_classifier(tmp_path):
    """Whatever the rounding: all images are in every batch, no crop changes them, and no batch norm magnifies noise."""
    for name in ("red", "blue"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (40, 40), name).save(tmp_path / "data" / name / f"{number}.png")
    recipe = replace(choose("supervised_smoke"), architecture="test_nfnet", batch_size=8, epochs=4)
    recipe = replace(recipe, optimizer=Sgd(lr=0.001, momentum=0))
    encoder = load(loop.pretrain(recipe, tmp_path / "data", tmp_path / "run", Options(knn_every=0)))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 5
    assert lines[-1]["top1"] == 100
    assert "head.fc.weight" not in encoder.backbone.state_dict()
    assert encoder.backbone.num_classes == 0


def test_loss_and_top1_by_hand():
    networks = Networks(query=lambda crops: ([torch.tensor([[0.0, 0.0], [3.0, 0.0]])], None))
    labels, orders = torch.tensor([1, 0]), Orders(torch.empty(0), torch.empty(0))
    step = Classify()(networks, Known(Labels(labels)), {"image": torch.empty(0)}, orders)
    assert step.loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-3))) / 2)
    assert step.metrics["top1"] == 50


def test_data_of_another_number_of_classes_or_without_labels_is_refused(small, images, tmp_path):
    with pytest.raises(UsageError, match=r"learns 5 classes, but the data has 2 classes; give --set dim=2"):
        loop.pretrain(replace(small, dim=5), images, tmp_path / "run")
    (tmp_path / "flat").mkdir()
    for path in images.rglob("*.png"):
        shutil.copy(path, tmp_path / "flat" / f"{path.parent.name}{path.name}")
    with pytest.raises(UsageError, match=r"learns 2 classes, but the data has no labels"):
        loop.pretrain(small, tmp_path / "flat", tmp_path / "run")


def test_published_setting_is_the_usual_one():
    recipe = choose("supervised_90")
    assert recipe.optimizer == Sgd(lr=0.1, momentum=0.9, weight_decay=1e-4)
    assert (recipe.batch_size, recipe.epochs, recipe.schedule.milestones) == (256, 90, (30, 60))
