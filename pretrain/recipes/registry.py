"""From the command line's words to a recipe: its name or a user's own function, then the fields to change."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from ...hub.errors import UsageError
from ...hub.overrides import with_change
from ..recipe import Recipe
from . import byol, clsa, cmc, infomin, moco, pcl, simclr, supervised, swav
from . import clsa_on_others as clsa_elsewhere
from . import instdis_pirl as instance_bank

RECIPES: dict[str, Callable[[], Recipe]] = {
    "byol_100": byol.byol_100,
    "byol_1000": byol.byol_1000,
    "byol_300": byol.byol_300,
    "byol_40": byol.byol_40,
    "byol_clsa_300": clsa_elsewhere.byol_clsa_300,
    "byol_clsa_smoke": clsa_elsewhere.byol_clsa_smoke,
    "byol_imagenette": byol.byol_imagenette,
    "byol_imagenette_cpu": byol.byol_imagenette_cpu,
    "byol_smoke": byol.byol_smoke,
    "clsa_200": clsa.clsa_200,
    "clsa_800": clsa.clsa_800,
    "clsa_cifar_cpu": clsa.clsa_cifar_cpu,
    "clsa_imagenette": clsa.clsa_imagenette,
    "clsa_imagenette_cpu": clsa.clsa_imagenette_cpu,
    "clsa_multi_200": clsa.clsa_multi_200,
    "clsa_multi_800": clsa.clsa_multi_800,
    "clsa_multi_cifar_cpu": clsa.clsa_multi_cifar_cpu,
    "clsa_multi_imagenette_cpu": clsa.clsa_multi_imagenette_cpu,
    "clsa_smoke": clsa.clsa_smoke,
    "clsa_symmetric_200": clsa.clsa_symmetric_200,
    "cmc_200": cmc.cmc_200,
    "cmc_smoke": cmc.cmc_smoke,
    "cmc_v2_200": cmc.cmc_v2_200,
    "cmc_v2_smoke": cmc.cmc_v2_smoke,
    "infomin": infomin.infomin_200,
    "infomin_100": infomin.infomin_100,
    "infomin_200": infomin.infomin_200,
    "infomin_800": infomin.infomin_800,
    "infomin_cifar_cpu": infomin.infomin_cifar_cpu,
    "infomin_demo": infomin.infomin_demo,
    "infomin_imagenette": infomin.infomin_imagenette,
    "infomin_imagenette_cpu": infomin.infomin_imagenette_cpu,
    "infomin_smoke": infomin.infomin_smoke,
    "instdis_200": instance_bank.instdis_200,
    "instdis_smoke": instance_bank.instdis_smoke,
    "moco_v1_200": moco.moco_v1_200,
    "moco_v1_smoke": moco.moco_v1_smoke,
    "moco_v2": moco.moco_v2_200,
    "moco_v2_200": moco.moco_v2_200,
    "moco_v2_800": moco.moco_v2_800,
    "moco_v2_cifar_cpu": moco.moco_v2_cifar_cpu,
    "moco_v2_imagenette": moco.moco_v2_imagenette,
    "moco_v2_imagenette_cpu": moco.moco_v2_imagenette_cpu,
    "moco_v2_smoke": moco.moco_v2_smoke,
    "pcl_v1_200": pcl.pcl_v1_200,
    "pcl_v1_smoke": pcl.pcl_v1_smoke,
    "pcl_v2_200": pcl.pcl_v2_200,
    "pcl_v2_smoke": pcl.pcl_v2_smoke,
    "pirl_200": instance_bank.pirl_200,
    "pirl_smoke": instance_bank.pirl_smoke,
    "simclr_100": simclr.simclr_100,
    "simclr_1000": simclr.simclr_1000,
    "simclr_clsa_200": clsa_elsewhere.simclr_clsa_200,
    "simclr_clsa_smoke": clsa_elsewhere.simclr_clsa_smoke,
    "simclr_imagenette": simclr.simclr_imagenette,
    "simclr_imagenette_cpu": simclr.simclr_imagenette_cpu,
    "simclr_smoke": simclr.simclr_smoke,
    "simclr_x2_1000": simclr.simclr_x2_1000,
    "supervised_90": supervised.supervised_90,
    "supervised_imagenette_cpu": supervised.supervised_imagenette_cpu,
    "supervised_smoke": supervised.supervised_smoke,
    "swav_100": swav.swav_100,
    "swav_200": swav.swav_200,
    "swav_2x224_400": swav.swav_2x224_400,
    "swav_400": swav.swav_400,
    "swav_800": swav.swav_800,
    "swav_b256_200": swav.swav_b256_200,
    "swav_b256_400": swav.swav_b256_400,
    "swav_imagenette": swav.swav_imagenette,
    "swav_imagenette_cpu": swav.swav_imagenette_cpu,
    "swav_smoke": swav.swav_smoke,
}


_OWN = "a recipe of one's own"  # how a module that may be replaced by another file of its name is known


def choose(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe called `name`, or made by FILE.py:FUNCTION, with changes such as "optimizer.lr=0.06".

    Raises:
        UsageError: no such recipe, file or function; a field that does not exist; a value of the wrong type.
    """
    recipe = _from_file(name) if ".py:" in name else _by_name(name)
    for change in changes:
        recipe = with_change(recipe, change, whole="recipe")
    return recipe


def _by_name(name: str) -> Recipe:
    if name not in RECIPES:
        near = ", ".join(get_close_matches(name, RECIPES, n=4, cutoff=0.4))
        raise UsageError(
            f"There is no recipe {name}; {f'there is {near}; ' if near else ''}`goodviews recipes` lists all, and "
            "FILE.py:FUNCTION gives one of your own."
        )
    return RECIPES[name]()


def _from_file(name: str) -> Recipe:
    file, _, function = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{path} does not exist; a recipe of your own is given as FILE.py:FUNCTION.")
    module = _run(path)
    if not callable(getattr(module, function, None)):
        raise UsageError(f"{path} has no function {function}; a recipe is a function that returns a Recipe.")
    with _explained(path):
        recipe = getattr(module, function)()
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name} returned {type(recipe).__name__}; a recipe is a function that returns a Recipe.")
    return recipe


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
    with _explained(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What goes wrong in a user's own file becomes one sentence with its line."""
    try:
        yield
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}, line {line}" if line else str(path)
        raise UsageError(f"{where}: {type(error).__name__}: {error}.") from error
