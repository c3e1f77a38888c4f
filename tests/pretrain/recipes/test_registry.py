"""Recipes by name, and fields changed from the command line."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.ema import KeyNetwork
from goodviews.pretrain.models.queue import Queue
from goodviews.pretrain.recipe import UNNAMED
from goodviews.pretrain.recipes import registry
from goodviews.pretrain.recipes.registry import RECIPES, SHORT_NAMES, choose


def test_a_recipe_is_called_as_its_function_and_short_names_lead_to_the_same():
    for name, make in RECIPES.items():
        assert make().name == UNNAMED, "the function's name is the only one"
        assert choose(name).name == make.__name__
    assert {name: make.__name__ for name, make in SHORT_NAMES.items()} == {
        "infomin": "infomin_200",
        "moco_v2": "moco_v2_200",
    }


def test_no_recipe_of_the_folder_is_missing_in_the_table():
    folder = Path(registry.__file__).parent
    functions = {
        node.name
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and ast.unparse(node.returns or node) == "Recipe"
        and len(node.args.args) == len(node.args.defaults)
    }
    assert functions == set(RECIPES) - set(SHORT_NAMES)


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


@pytest.mark.parametrize("name", sorted({make.__module__ for make in RECIPES.values()}))
def test_lab_note_opens_with_the_published_number_ours_the_cost_and_a_command_that_names_a_recipe(name):
    note = import_module(name).__doc__
    assert re.search(
        r"\n\nPublished: .+\nMeasured here: .+\nCost: .+\n\n    goodviews pretrain (\w+) --data", note, re.DOTALL
    )
    assert re.search(r"    goodviews pretrain (\w+) ", note)[1] in RECIPES
