"""Heads: from backbone features to the vectors that are compared. Which of them have batch norm is as published."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .full_precision import widen

HeadKind = Literal["linear", "mlp", "simclr", "byol", "swav", "classifier"]

_BYOL_HIDDEN, _SWAV_HIDDEN = 4096, 2048


class ProjectionHead(nn.Sequential):
    """(N, F) features -> (N, D) unit rows.

    linear: one layer (MoCo v1, InstDis). mlp: a hidden layer as wide as the features (MoCo v2). simclr: the same with
    batch norm after both layers, the last without an offset. byol and swav: a hidden layer of 4096 or 2048 with batch
    norm, the last layer without it. The tensors are named as PyContrast's: 0.weight for linear, 0.* and 2.* for mlp.
    """

    def __init__(self, features: int, dim: int, kind: HeadKind):
        super().__init__(*_layers(features, dim, kind))

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.project(features), dim=1)

    def project(self, features: Tensor) -> Tensor:
        """The rows before they are normalised to length one."""
        rows: Tensor = super().forward(features)
        return widen(rows)


class PredictingHead(nn.Module):
    """BYOL's: a projection, and a predictor after it that only the trained network has.

    (N, F) -> (N, D) unit rows: what is predicted of the target's projection, or, without the predictor, the projection.

    Source: Grill et al. 2020 (arXiv:2006.07733), section 3; google-deepmind/deepmind-research, byol/utils/networks.py.
    """

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.projection = ProjectionHead(features, dim, "byol")
        self.predictor: nn.Module | None = nn.Sequential(*_byol_layers(dim, dim))

    def forward(self, features: Tensor) -> Tensor:
        if self.predictor is None:
            projection: Tensor = self.projection(features)
            return projection
        return F.normalize(widen(self.predictor(self.projection.project(features))), dim=1)


class ClassifierHead(nn.Linear):
    """(N, F) -> (N, C), float32 logits of classes."""

    def forward(self, input: Tensor) -> Tensor:
        return widen(super().forward(input))


def build_head(features: int, dim: int, kind: HeadKind) -> nn.Module:
    """A randomly initialised head, from torch's global generator."""
    if kind == "byol":
        return PredictingHead(features, dim)
    return ClassifierHead(features, dim) if kind == "classifier" else ProjectionHead(features, dim, kind)


class JigsawHead(nn.Module):
    """Features of an image's patches, in an order drawn for it -> one unit row an image.

    Every patch goes through `fc1`; the rows of an image are put into the order given, concatenated, and `fc2` makes
    one vector of them. There is no label for the order and no fixed set of orders: the head has to bear them all.
    The tensors are named as PyContrast's.

    Source: Misra & van der Maaten 2020 (PIRL, arXiv:1912.01991); HobbitLong/PyContrast, networks/util.py.
    """

    def __init__(self, features: int, dim: int, kind: HeadKind, patches: int = 9):
        super().__init__()
        layers = _layers(features, dim, kind)
        self.fc1 = nn.Sequential(*layers) if len(layers) > 1 else layers[0]
        self.fc2 = nn.Linear(patches * dim, dim)

    def forward(self, patch_features: Tensor, order: Tensor) -> Tensor:
        """Args:
        patch_features: (N * P, F); the P patches of an image are consecutive rows.
        order: (N, P) integers; row i is the order in which image i's patches are concatenated.
        """
        patches = self.fc1(patch_features).unflatten(0, order.shape)  # (N, P, D)
        shuffled = patches.take_along_dim(order[:, :, None], dim=1)
        return F.normalize(widen(self.fc2(shuffled.flatten(1))), dim=1)


def _layers(features: int, dim: int, kind: HeadKind) -> list[nn.Module]:
    if kind == "linear":
        return [nn.Linear(features, dim)]
    if kind == "simclr":
        return _simclr_layers(features, dim)
    if kind == "byol":
        return _byol_layers(features, dim)
    if kind == "swav":
        hidden = nn.Linear(features, _SWAV_HIDDEN)
        return [hidden, nn.BatchNorm1d(_SWAV_HIDDEN), nn.ReLU(inplace=True), nn.Linear(_SWAV_HIDDEN, dim)]
    return [nn.Linear(features, features), nn.ReLU(inplace=True), nn.Linear(features, dim)]


def _simclr_layers(features: int, dim: int) -> list[nn.Module]:
    """Source: google-research/simclr, model_util.py; weights start as N(0, 0.01)."""
    first, second = nn.Linear(features, features, bias=False), nn.Linear(features, dim, bias=False)
    for layer in (first, second):
        nn.init.normal_(layer.weight, std=0.01)
    last = nn.BatchNorm1d(dim)
    last.register_parameter("bias", None)
    return [first, nn.BatchNorm1d(features), nn.ReLU(inplace=True), second, last]


def _byol_layers(features: int, dim: int) -> list[nn.Module]:
    hidden = nn.Linear(features, _BYOL_HIDDEN)
    return [hidden, nn.BatchNorm1d(_BYOL_HIDDEN), nn.ReLU(inplace=True), nn.Linear(_BYOL_HIDDEN, dim, bias=False)]
