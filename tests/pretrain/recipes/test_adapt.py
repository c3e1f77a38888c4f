"""Recipes that go on from an encoder: made for its size, milder than from random weights, and alike in their frame."""

import pytest

from goodviews.pretrain.recipes.registry import RECIPES, choose, needs_start
from goodviews.pretrain.training.checks import check_recipe

ADAPT = ["simclr_adapt", "clsa_adapt", "infomin_adapt"]


def test_recipes_that_need_a_start_are_those_called_adapt():
    assert sorted(name for name in RECIPES if needs_start(name)) == sorted(ADAPT)


@pytest.mark.parametrize("name", ADAPT)
@pytest.mark.parametrize("px", [32, 48, 56, 64, 96, 128, 160, 224, 256, 288, 384])
def test_a_recipe_fits_encoders_of_any_size_and_six_hundred_photos(name, px):
    recipe = choose(name, start_px=px)
    check_recipe(recipe, images=600, world=1)
    assert recipe.input_px == px
    assert recipe.slow is None
    assert recipe.memory is None


@pytest.mark.parametrize("name", ADAPT)
def test_a_recipe_has_a_lower_rate_a_climb_and_fewer_epochs_than_those_from_random_weights(name):
    recipe = choose(name)
    small = choose("simclr_imagenette_cpu")
    assert recipe.optimizer.lr < small.optimizer.lr
    assert recipe.schedule.warmup_epochs == 1
    assert recipe.epochs < small.epochs
    assert recipe.batch_size == small.batch_size == 64
