"""Heads: from backbone features to the unit vectors that are contrasted. No head has batch norm, as published."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

HeadKind = Literal["linear", "mlp"]


class ProjectionHead(nn.Sequential):
    """(N, F) features -> (N, D) unit rows; linear (MoCo) or with one hidden layer as wide as the features (MoCo v2).

    The tensors are named as PyContrast's: 0.weight for linear, 0.* and 2.* for mlp.
    """

    def __init__(self, features: int, dim: int, kind: HeadKind):
        super().__init__(*_layers(features, dim, kind))

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(super().forward(features).float(), dim=1)


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
        return F.normalize(self.fc2(shuffled.flatten(1)).float(), dim=1)


def _layers(features: int, dim: int, kind: HeadKind) -> list[nn.Module]:
    if kind == "linear":
        return [nn.Linear(features, dim)]
    return [nn.Linear(features, features), nn.ReLU(inplace=True), nn.Linear(features, dim)]
