"""A package's public names: each is imported from its module when first used, so that the package imports nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """A package's `__getattr__`, `__dir__` and `__all__`.

    Type checkers and editors do not run this: beside it the package imports the same names under TYPE_CHECKING.

    Args:
        package: its `__name__`.
        homes: the public names by the module that defines them, dotted from the package on; ".hub.encoder" leads out of
            it, as `from ..hub.encoder import` does.
    """
    module_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{module_of[name]}", package), name)

    return get, lambda: sorted(module_of), sorted(module_of)
