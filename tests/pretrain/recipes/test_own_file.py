"""Recipes from a user's own file."""

import json
import sys

import pytest

from goodviews.hub.errors import UsageError
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop


def test_recipe_of_ones_own_is_called_as_its_function_unless_it_says_otherwise(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from goodviews.pretrain.recipes.infomin import infomin_smoke\n"
        "def quick(): return replace(infomin_smoke(), epochs=2)\n"
        "def other(): return replace(infomin_smoke(), name='my_name')\n"
        "def wrong(): return 3\n"
    )
    assert choose(f"{file}:quick", ["epochs=7"]).epochs == 7
    assert choose(f"{file}:quick").name == "quick"
    assert choose(f"{file}:other").name == "my_name"
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

from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.recipes.moco import QueueContrast, moco_v2_smoke
from goodviews.pretrain.objective import Networks, Orders, Step


@dataclass(frozen=True)
class Hotter(QueueContrast):
    needs: ClassVar[tuple[type, ...]] = QueueContrast.needs

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        step = super().__call__(networks, known, views, orders)
        return replace(step, metrics={**step.metrics, "twice": 2 * step.loss.detach()})


def hotter():
    return replace(moco_v2_smoke(), objective=Hotter(temperature=0.5))
"""


@pytest.mark.precision
def test_objective_of_ones_own_trains_from_its_file(images, tmp_path):
    file = tmp_path / "own_objective.py"
    file.write_text(OWN)
    run = tmp_path / "run"
    loop.pretrain(choose(f"{file}:hotter", ["objective.temperature=0.4"]), images, run, Options(knn_every=0, workers=1))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["twice"] == pytest.approx(2 * rows[-1]["loss"])
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    assert (recipe["name"], recipe["objective"]["type"]) == ("hotter", "Hotter")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def mine(:\n", r"broken.py, line 1: SyntaxError: "),
        ("import nothing_like_it\n", r"broken.py, line 1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def mine(epochs): ...\n", r"broken.py: TypeError: mine\(\) missing 1 required positional argument"),
        ("def mine():\n    return 1 / 0\n", r"broken.py, line 2: ZeroDivisionError"),
    ],
)
def test_mistake_in_ones_own_file_is_reported_with_its_line(text, sentence, tmp_path, monkeypatch):
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
