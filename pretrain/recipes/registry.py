"""Every recipe by its name: the table, and the look-up that the command line uses."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from ...hub.errors import UsageError
from ...hub.overrides import with_changes
from ..recipe import Recipe
from . import (
    adapt,
    byol,
    clsa,
    clsa_on_others,
    clsa_small,
    cmc,
    cmc_learned,
    infomin,
    instdis_pirl,
    moco,
    pcl,
    simclr,
    supervised,
    swav,
)
from .own_file import made_for, recipe_from_file, takes_px

# A recipe is named once, by its function; the second table adds the short names.
_TABLE: tuple[Callable[..., Recipe], ...] = (
    adapt.simclr_adapt,
    adapt.clsa_adapt,
    adapt.infomin_adapt,
    byol.byol_40,
    byol.byol_100,
    byol.byol_300,
    byol.byol_1000,
    byol.byol_imagenette,
    byol.byol_imagenette_cpu,
    byol.byol_smoke,
    clsa.clsa_200,
    clsa.clsa_800,
    clsa.clsa_multi_200,
    clsa.clsa_multi_800,
    clsa.clsa_symmetric_200,
    clsa_small.clsa_imagenette,
    clsa_small.clsa_imagenette_cpu,
    clsa_small.clsa_multi_imagenette_cpu,
    clsa_small.clsa_cifar_cpu,
    clsa_small.clsa_multi_cifar_cpu,
    clsa.clsa_smoke,
    clsa_on_others.byol_clsa_300,
    clsa_on_others.byol_clsa_smoke,
    clsa_on_others.simclr_clsa_200,
    clsa_on_others.simclr_clsa_smoke,
    cmc.cmc_200,
    cmc.cmc_smoke,
    cmc.cmc_v2_200,
    cmc.cmc_v2_smoke,
    cmc_learned.cmc_learned,
    cmc_learned.cmc_learned_smoke,
    infomin.infomin_100,
    infomin.infomin_200,
    infomin.infomin_800,
    infomin.infomin_imagenette,
    infomin.infomin_imagenette_cpu,
    infomin.infomin_cifar_cpu,
    infomin.infomin_demo,
    infomin.infomin_smoke,
    instdis_pirl.instdis_200,
    instdis_pirl.instdis_smoke,
    instdis_pirl.pirl_200,
    instdis_pirl.pirl_smoke,
    moco.moco_v1_200,
    moco.moco_v1_smoke,
    moco.moco_v2_200,
    moco.moco_v2_800,
    moco.moco_v2_imagenette,
    moco.moco_v2_imagenette_cpu,
    moco.mini,
    moco.mini_colours,
    moco.moco_v2_cifar_cpu,
    moco.moco_v2_smoke,
    pcl.pcl_v1_200,
    pcl.pcl_v1_smoke,
    pcl.pcl_v2_200,
    pcl.pcl_v2_smoke,
    simclr.simclr_100,
    simclr.simclr_1000,
    simclr.simclr_x2_1000,
    simclr.simclr_imagenette,
    simclr.simclr_imagenette_cpu,
    simclr.simclr_smoke,
    supervised.supervised_90,
    supervised.supervised_imagenette_cpu,
    supervised.supervised_smoke,
    swav.swav_100,
    swav.swav_200,
    swav.swav_400,
    swav.swav_800,
    swav.swav_2x224_400,
    swav.swav_b256_200,
    swav.swav_b256_400,
    swav.swav_imagenette,
    swav.swav_imagenette_cpu,
    swav.swav_smoke,
)
SHORT_NAMES: dict[str, Callable[..., Recipe]] = {"infomin": infomin.infomin_200, "moco_v2": moco.moco_v2_200}
RECIPES: dict[str, Callable[..., Recipe]] = {make.__name__: make for make in _TABLE} | SHORT_NAMES


def choose(name: str, changes: Sequence[str] = (), *, start_px: int | None = None) -> Recipe:
    """The recipe called `name`, or made by FILE.py:FUNCTION, with changes such as "optimizer.lr=0.06".

    Args:
        start_px: the input's side of the encoder that the run starts from; for recipes whose function takes `px`.

    Raises:
        UsageError: no such recipe, file or function; a field that does not exist; a value of the wrong type.
    """
    recipe = recipe_from_file(name, start_px) if ".py:" in name else _from_table(name, start_px)
    return with_changes(recipe, changes, whole="recipe")


def needs_start(name: str) -> bool:
    """Whether a recipe of the table is made for going on from an encoder."""
    return name in RECIPES and takes_px(RECIPES[name])


def _from_table(name: str, start_px: int | None) -> Recipe:
    if name not in RECIPES:
        near = ", ".join(get_close_matches(name, RECIPES, n=4, cutoff=0.4))
        raise UsageError(
            f"There is no recipe {name}; {f'there is {near}; ' if near else ''}`goodviews recipes` lists all, and "
            "FILE.py:FUNCTION gives one of your own."
        )
    make = RECIPES[name]
    return made_for(make, start_px).with_name(make.__name__)
