"""Recipes by name or file, and fields changed from the command line."""

import json
import sys

import pytest

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.memories import KeyNetwork, Queue
from goodviews.pretrain.recipes.registry import RECIPES, choose
from goodviews.pretrain.training import loop


def test_name_of_a_recipe_is_the_one_it_carries():
    for name, make in RECIPES.items():
        assert make().name == {"infomin": "infomin_200", "moco_v2": "moco_v2_200"}.get(name, name)


def test_published_settings_are_the_published_ones():
    infomin, moco = choose("infomin_200"), choose("moco_v2")
    for recipe in (infomin, moco):
        assert (recipe.architecture, recipe.batch_size) == ("resnet50", 256)
        assert (recipe.memory, recipe.slow) == (Queue(65536), KeyNetwork(momentum=0.999, group=32))
        assert (recipe.optimizer.lr, recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.03, 0.9, 1e-4)
        assert (recipe.head, recipe.dim, recipe.epochs) == ("mlp", 128, 200)
        assert recipe.views[0].crop.scale == (0.2, 1.0)
    assert (infomin.objective.temperature, infomin.objective.jigsaw_weight) == (0.15, 0.5)
    assert moco.objective.temperature == 0.2
    operations = [type(operation).__name__ for operation in infomin.views[0].program]
    assert operations == ["Flip", "ColorJitter", "GaussianBlur", "RandAugment", "Grayscale", "Normalize"]
    assert infomin.views[2].crop.px == 255
    assert infomin.views[2].crop.scale == (0.6, 1.0)


def test_moco_v1_differs_from_v2_as_published():
    v1, v2 = choose("moco_v1_200"), choose("moco_v2_200")
    assert (v1.head, v1.objective.temperature, v1.schedule.milestones) == ("linear", 0.07, (120, 160))
    assert v1.views[0].program == v1.views[1].program
    gray, jitter, flip = v1.views[0].program[:3]
    assert (gray.p, flip.p) == (0.2, 0.5)
    assert tuple(vars(jitter).values()) == (0.4, 0.4, 0.4, 0.4, 1.0, "times")
    assert v1.views[0].crop == v2.views[0].crop
    for field in ("architecture", "optimizer", "batch_size", "epochs", "dim", "memory", "slow"):
        assert getattr(v1, field) == getattr(v2, field)


def test_fields_are_changed_by_their_path_and_type():
    recipe = choose(
        "infomin_200",
        ["epochs=3", "optimizer.lr=1", "objective.temperature=0.2", "views.1.crop.scale=[0.1, 1]", "head=linear"],
    )
    assert (recipe.epochs, recipe.optimizer.lr, recipe.objective.temperature) == (3, 1.0, 0.2)
    assert recipe.views[1].crop.scale == (0.1, 1.0)
    assert recipe.views[0].crop.scale == (0.2, 1.0)
    assert recipe.head == "linear"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("optimizer.rate=1", r"Sgd has no field rate; it has lr, momentum, weight_decay"),
        ("speed=1", r"Recipe has no field speed; it has name, architecture, views"),
        ("epochs=many", r"epochs=many: the value must be a whole number"),
        ("epochs=1.5", r"the value must be a whole number"),
        ("optimizer.lr=true", r"the value must be a number"),
        ("head=deep", r"the value must be one of linear, mlp"),
        ("optimizer=0.1", r"names a part of the recipe, not a field of it; go on with one of lr, momentum"),
        ("epochs.lr=1", r"epochs is a plain value"),
        ("views.3.crop.px=1", r"3 is not a position in this list; use 0 to 2"),
        ("views=1", r"go on with one of 0 to 2"),
        ("views.0=1", r"names a part of the recipe"),
        ("views.0.crop.scale=1", r"a list such as"),
        ("epochs", r"has no value; write --set FIELD=VALUE"),
    ],
)
def test_change_that_makes_no_sense_is_explained(change, sentence):
    with pytest.raises(UsageError, match=sentence):
        choose("infomin_200", [change])


def test_unknown_recipe_is_answered_with_those_of_like_names():
    with pytest.raises(UsageError, match=r"no recipe infomin_2000; there is infomin_200, .*`goodviews recipes`"):
        choose("infomin_2000")
    with pytest.raises(UsageError, match=r"no recipe xyz; `goodviews recipes` lists all"):
        choose("xyz")


def test_recipe_of_ones_own_comes_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from goodviews.pretrain.recipes.infomin import infomin_smoke\n"
        "def quick(): return replace(infomin_smoke(), name='quick')\n"
        "def wrong(): return 3\n"
    )
    assert choose(f"{file}:quick", ["epochs=7"]).epochs == 7
    with pytest.raises(UsageError, match=r"has no function slow"):
        choose(f"{file}:slow")
    with pytest.raises(UsageError, match=r"returned int; a recipe is a function that returns a Recipe"):
        choose(f"{file}:wrong")
    with pytest.raises(UsageError, match=r"does not exist"):
        choose(f"{tmp_path}/other.py:quick")


OWN = """
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from goodviews.pretrain.recipes.moco import QueueContrast, moco_v2_smoke
from goodviews.pretrain.objective import Networks, Orders, Step


@dataclass(frozen=True)
class Hotter(QueueContrast):
    needs: ClassVar[tuple[type, ...]] = QueueContrast.needs

    def __call__(self, networks: Networks, negatives: Tensor, views: Mapping[str, Tensor], orders: Orders) -> Step:
        step = super().__call__(networks, negatives, views, orders)
        return replace(step, metrics={**step.metrics, "twice": 2 * step.loss.detach()})


def hotter():
    return replace(moco_v2_smoke(), name="hotter", objective=Hotter(temperature=0.5))
"""


def test_objective_of_ones_own_trains_from_its_file(images, tmp_path):
    file = tmp_path / "own_objective.py"
    file.write_text(OWN)
    run = tmp_path / "run"
    loop.pretrain(choose(f"{file}:hotter", ["objective.temperature=0.4"]), images, run, knn_every=0, workers=1)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["twice"] == pytest.approx(2 * rows[-1]["loss"])
    assert json.loads((run / "recipe.json").read_text())["recipe"]["objective"]["type"] == "Hotter"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def mine(:\n", r"broken.py, line 1: SyntaxError: "),
        ("import nothing_like_it\n", r"broken.py, line 1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def mine(epochs): ...\n", r"broken.py: TypeError: mine\(\) missing 1 required positional argument"),
        ("def mine():\n    return 1 / 0\n", r"broken.py, line 2: ZeroDivisionError"),
    ],
)
def test_mistake_in_ones_own_file_is_said_with_its_line(text, sentence, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        choose(f"{tmp_path}/broken.py:mine")


def test_file_that_bears_the_name_of_a_module_is_refused(tmp_path):
    (tmp_path / "json.py").write_text("def mine(): ...\n")
    for folder, epochs in (("one", 3), ("other", 5)):  # two of one's own may share a name
        (tmp_path / folder).mkdir()
        text = "from goodviews.pretrain.recipes.moco import *\n"
        text += f"def mine(): return replace(moco_v2_smoke(), epochs={epochs})\n"
        (tmp_path / folder / "shared_name.py").write_text(text)
        assert choose(f"{tmp_path}/{folder}/shared_name.py:mine").epochs == epochs
    with pytest.raises(UsageError, match=r"json.py bears the name of another module, json; rename the file"):
        choose(f"{tmp_path}/json.py:mine")
