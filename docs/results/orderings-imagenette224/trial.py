"""The two trials of InfoMin: infomin_imagenette_cpu as it was then, with RandAugment taken out or a quarter of it."""

from dataclasses import replace

from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.infomin import infomin_imagenette_cpu
from goodviews.pretrain.views.rand_augment import RandAugment


def no_randaugment() -> Recipe:
    """Without RandAugment."""
    recipe = infomin_imagenette_cpu()
    views = tuple(
        replace(view, program=tuple(step for step in view.program if not isinstance(step, RandAugment)))
        for view in recipe.views
    )
    return replace(recipe, name="infomin_no_randaugment", views=views, width=0.5, epochs=20)


def quarter_randaugment() -> Recipe:
    """Each draw of RandAugment applied once in eight times instead of every second time."""
    recipe = infomin_imagenette_cpu()
    views = tuple(
        replace(
            view,
            program=tuple(replace(step, p=0.125) if isinstance(step, RandAugment) else step for step in view.program),
        )
        for view in recipe.views
    )
    return replace(recipe, name="infomin_quarter_randaugment", views=views, width=0.5, epochs=20)
