"""The network that is trained: a backbone, a projection head and, for InfoMin, a jigsaw head."""

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..hub.encoder import build_backbone
from .heads import HeadKind, JigsawHead, ProjectionHead
from .small_maps import speed_up_small_maps


class ContrastiveNetwork(nn.Module):
    """Backbone and heads behind one forward, so that distributed training sees one call a step.

    The backbone runs once for each set of crops, then once over all patches: batch-norm statistics are computed for
    each pass on its own and the running statistics average over all of them, as in the published code.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, jigsaw_head: nn.Module | None = None):
        super().__init__()
        self.backbone, self.head, self.jigsaw_head = backbone, head, jigsaw_head

    def forward(
        self, crops: Sequence[Tensor], patches: Tensor | None = None, order: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor | None]:
        """Embeddings, float32 unit rows (N, D), of each set of crops and of the shuffled patches, if there are any.

        Args:
            crops: sets of one crop an image, each (N, 3, H, W) with sides of its own.
            patches: (N, P, 3, h, w).
            order: (N, P), how the patches reach the jigsaw head.
        """
        embeddings = [self.embed(images) for images in crops]
        if patches is None or self.jigsaw_head is None:
            return embeddings, None
        return embeddings, self.jigsaw_head(self._features(patches.flatten(0, 1)), order)

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, D), float32 unit rows."""
        return self.head(self._features(images))

    def _features(self, images: Tensor) -> Tensor:
        return self.backbone(images.contiguous(memory_format=torch.channels_last))

    def without_jigsaw(self) -> "ContrastiveNetwork":
        """A copy of backbone and projection head with the same weights."""
        slow = ContrastiveNetwork(copy.deepcopy(self.backbone), copy.deepcopy(self.head))
        return slow.to(memory_format=torch.channels_last)


def build_network(
    architecture: str, *, head: HeadKind, dim: int, patches: int, seed: int, zero_init_last: bool = False
) -> ContrastiveNetwork:
    """A randomly initialised network; equal seeds give equal weights. `patches` 0 leaves the jigsaw head out.

    With `zero_init_last` the last batch norm of every residual branch starts at zero, in ResNets and their like.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = speed_up_small_maps(build_backbone(architecture, zero_init_last=zero_init_last))
        features = cast(int, backbone.num_features)
        projection = ProjectionHead(features, dim, head)
        jigsaw = JigsawHead(features, dim, head, patches) if patches else None
    return ContrastiveNetwork(backbone, projection, jigsaw).to(memory_format=torch.channels_last)
