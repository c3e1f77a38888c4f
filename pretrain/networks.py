"""The network that is trained: a backbone, a projection head and, for InfoMin, a jigsaw head."""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from ..hub.encoder import build_backbone
from .heads import HeadKind, JigsawHead, ProjectionHead
from .small_maps import speed_up_small_maps


class ContrastiveNetwork(nn.Module):
    """Backbone and heads behind one forward, so that distributed training sees one call a step.

    With patches the backbone runs twice, first over the images, then over all patches: batch-norm statistics are
    computed for each pass on its own and the running statistics average over both, as in the published code.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, jigsaw_head: nn.Module | None = None):
        super().__init__()
        self.backbone, self.head, self.jigsaw_head = backbone, head, jigsaw_head

    def forward(
        self, images: Tensor, patches: Tensor | None = None, order: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(N, 3, H, W), and (N, P, 3, h, w) with their (N, P) order -> (N, D) and (N, D) or None; float32 unit rows."""
        embedding = self.head(self._features(images))
        if patches is None or self.jigsaw_head is None:
            return embedding, None
        return embedding, self.jigsaw_head(self._features(patches.flatten(0, 1)), order)

    def _features(self, images: Tensor) -> Tensor:
        return self.backbone(images.contiguous(memory_format=torch.channels_last))

    def without_jigsaw(self) -> "ContrastiveNetwork":
        """A copy of backbone and projection head with the same weights."""
        slow = ContrastiveNetwork(copy.deepcopy(self.backbone), copy.deepcopy(self.head))
        return slow.to(memory_format=torch.channels_last)


def build_network(architecture: str, *, head: HeadKind, dim: int, patches: int, seed: int) -> ContrastiveNetwork:
    """A randomly initialised network; equal seeds give equal weights. `patches` 0 leaves the jigsaw head out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = speed_up_small_maps(build_backbone(architecture))
        features = cast(int, backbone.num_features)
        projection = ProjectionHead(features, dim, head)
        jigsaw = JigsawHead(features, dim, head, patches) if patches else None
    return ContrastiveNetwork(backbone, projection, jigsaw).to(memory_format=torch.channels_last)
