"""Pretraining: recipes, the views they learn from, and the loop that trains an encoder by them.

Importing this package costs nothing; torch is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .choose import RECIPES as RECIPES
    from .choose import choose as choose
    from .loop import pretrain as pretrain
    from .recipe import Recipe as Recipe

_HOME = {"RECIPES": "choose", "choose": "choose", "pretrain": "loop", "Recipe": "recipe"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
