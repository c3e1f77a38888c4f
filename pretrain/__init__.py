"""Pretraining: recipes, the views they learn from, and the loop that trains an encoder by them.

Importing this package costs nothing; torch is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recipe import Recipe as Recipe
    from .recipes.registry import RECIPES as RECIPES
    from .recipes.registry import choose as choose
    from .training.loop import pretrain as pretrain

_HOME = {"RECIPES": "recipes.registry", "choose": "recipes.registry", "pretrain": "training.loop", "Recipe": "recipe"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
