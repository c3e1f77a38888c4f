"""A network that the recipes are not made for is tried before a run: on the recipe's views, then saved and read again.

A run of days must not end with an encoder that nobody can load. ResNets are known to work and are not tried.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ...hub.artifact import check, save
from ...hub.backbone import UNBUILDABLE, build_backbone, features_of, is_resnet
from ...hub.encoder import Encoder, Origin
from ...hub.errors import ArtifactError, UsageError
from ..recipe import Recipe
from ..views.operations import cut_of


def rehearse(recipe: Recipe) -> None:
    """Refuse a network that cannot be trained on the recipe's views, or whose folder could not be read again.

    Raises:
        UsageError: it fails on images of a view's size, gives something else than features, or does not come back from
            a folder as it was.
    """
    if is_resnet(recipe.architecture):
        return
    with torch.random.fork_rng(devices=[]):
        for channels in (3,) if recipe.branches == 1 else (1, 2):
            backbone = _build(recipe, channels)
            _check_start(backbone, recipe.architecture)
            for view, px in _sizes(recipe):
                _show(backbone, torch.rand(2, channels, px, px), f"{recipe.architecture}, view {view} of {px} px")
        _come_back(_build(recipe, 3), recipe)


def _build(recipe: Recipe, channels: int) -> nn.Module:
    try:
        return build_backbone(recipe.architecture, width=recipe.width, in_chans=channels)
    except (*UNBUILDABLE, ImportError) as error:
        raise UsageError(f"timm cannot build {recipe.architecture} ({_first_line(error)}); take another one.") from None


def _check_start(backbone: nn.Module, architecture: str) -> None:
    """A tensor that is infinite by design could not be told from a training that failed."""
    for name, tensor in backbone.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UsageError(
                f"{architecture} holds NaN or infinity in tensor {name} before any training, which an encoder folder "
                "cannot hold; take another architecture."
            )


def _sizes(recipe: Recipe) -> Iterator[tuple[str, int]]:
    """The sides of what the network is shown, each once, with the first view that has it."""
    sides: dict[int, str] = {}
    for view in recipe.views:
        cut = cut_of(view)
        sides.setdefault(view.crop.px if cut is None else cut.patch_px, view.name)
    yield from ((view, px) for px, view in sides.items())


@torch.no_grad()
def _show(backbone: Any, images: Tensor, what: str) -> None:
    try:
        features = backbone.train()(images)
    except UNBUILDABLE as error:
        raise UsageError(
            f"{what}: the network cannot take it ({_first_line(error)}); give all views a size that it takes, or "
            "another architecture."
        ) from None
    wanted = (len(images), features_of(backbone))
    if not isinstance(features, Tensor) or tuple(features.shape) != wanted:
        found = f"a tensor {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise UsageError(f"{what}: the network gives {found}, not features {wanted}; take another architecture.")
    if not features.isfinite().all():
        raise UsageError(f"{what}: the network gives NaN or infinity before any training; take another architecture.")


def _come_back(backbone: nn.Module, recipe: Recipe) -> None:
    """The folder that a run would end with, written and checked."""
    with TemporaryDirectory() as folder:
        try:
            encoder = Encoder(backbone, recipe.preprocessing, Origin(recipe.name))
            problems = check(save(encoder, Path(folder) / "encoder"))
        except (ArtifactError, *UNBUILDABLE) as error:
            problems = [_first_line(error)]
    if problems:
        raise UsageError(
            f"{recipe.architecture} does not come back from an encoder folder as it was "
            f"({problems[0].replace(folder, 'folder'):.200}); take another architecture."
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{text[0]:.200}" if text else type(error).__name__
