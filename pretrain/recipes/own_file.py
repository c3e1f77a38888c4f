"""A recipe of the user's own: FILE.py:FUNCTION, and a mistake in the file as one sentence with its line."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from ...hub.errors import UsageError
from ..recipe import Recipe

_OWN = "a recipe of one's own"  # marks a module that another file of the same name may replace


def recipe_from_file(name: str, start_px: int | None = None) -> Recipe:
    """The recipe that FILE.py:FUNCTION returns, called FUNCTION unless it gives itself a name.

    Args:
        start_px: as for `made_for`.

    Raises:
        UsageError: no such file or function; it fails; it returns something else.
    """
    file, _, function = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{path} does not exist; a recipe of your own is given as FILE.py:FUNCTION.")
    module = _run(path)
    if not callable(getattr(module, function, None)):
        raise UsageError(f"{path} has no function {function}; a recipe is a function that returns a Recipe.")
    with _mistakes_explained(path):
        recipe = made_for(getattr(module, function), start_px)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name} returned {type(recipe).__name__}; a recipe is a function that returns a Recipe.")
    return recipe.with_name(function)


def made_for(make: Callable[..., Recipe], start_px: int | None) -> Recipe:
    """What `make` returns; one that takes `px` is given the side of the input of the encoder to start from, if any."""
    return make() if start_px is None or not takes_px(make) else make(px=start_px)


def takes_px(make: Callable[..., Recipe]) -> bool:
    """Whether a recipe's function is made for any size of the input: for going on from an encoder."""
    return "px" in signature(make).parameters


def _run(path: Path) -> ModuleType:
    """The file as a module that can be found by its name: dataclasses, pickle and loader workers ask for it."""
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known.__spec__, "loader_state", None) != _OWN:
        raise UsageError(f"{path} bears the name of another module, {path.stem}; rename the file.")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    spec.loader_state = _OWN
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    with _mistakes_explained(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _mistakes_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}, line {line}" if line else str(path)
        raise UsageError(f"{where}: {type(error).__name__}: {error}.") from error
