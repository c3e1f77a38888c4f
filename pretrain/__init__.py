"""Pretraining: recipes, the views they learn from, and the loop that trains an encoder by them.

Importing this package costs nothing; torch is imported when a name is first used.
"""

from typing import TYPE_CHECKING

from ..hub.lazy_names import lazy_names

if TYPE_CHECKING:
    from .options import Options as Options
    from .recipe import Recipe as Recipe
    from .recipes.registry import RECIPES as RECIPES
    from .recipes.registry import choose as choose
    from .training.loop import pretrain as pretrain
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "options": ("Options",),
            "recipe": ("Recipe",),
            "recipes.registry": ("RECIPES", "choose"),
            "training.loop": ("pretrain",),
        },
    )
