"""The network that is trained: a backbone, a head and what a method adds: jigsaw head, prototypes, a second branch."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...hub.backbone import build_backbone, features_of
from ...hub.flow import Flow
from ...hub.ydbdr import TO_YDBDR
from .heads import HeadKind, JigsawHead, PredictingHead, build_head
from .small_convolutions import speed_up_small_maps


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
        embedding: Tensor = self.head(self._features(images))
        return embedding

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return features

    def ema_copy(self) -> "ContrastiveNetwork":
        """A copy of backbone and projection with the same weights: what makes the keys."""
        head = copy.deepcopy(self.head)
        if isinstance(head, PredictingHead):
            head.predictor = None
        return ContrastiveNetwork(copy.deepcopy(self.backbone), head).to(memory_format=torch.channels_last)


class PrototypeNetwork(nn.Module):
    """Backbone, projection head and SwAV's prototypes.

    The backbone runs once for each side that crops have, the head once over all of them, so that its batch norm sees
    them all, as in the published code.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, prototypes: int, dim: int):
        super().__init__()
        self.backbone, self.head = backbone, head
        self.prototypes = nn.Linear(dim, prototypes, bias=False)
        self.normalize_prototypes()

    def forward(self, crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings of all crops, float32 unit rows (sum of the sets' lengths, D), and the prototypes (P, D).

        Args:
            crops: sets of crops, each (n, 3, H, W) with sides of its own.
        """
        features = [self.backbone(images.contiguous(memory_format=torch.channels_last)) for images in crops]
        return self.head(torch.cat(features)), self.prototypes.weight

    @torch.no_grad()
    def normalize_prototypes(self) -> None:
        """Put every prototype back to length one; changes them in place."""
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))


class TwoBranchNetwork(nn.Module):
    """A backbone and a head for luma, and others for chroma: CMC's.

    Colours are changed at the entry: RGB normalised by `ydbdr.MEAN` alone becomes YDbDr normalised as published.
    """

    colours: Tensor

    def __init__(self, luma: nn.Module, chroma: nn.Module, luma_head: nn.Module, chroma_head: nn.Module):
        super().__init__()
        self.backbone, self.head = luma, luma_head  # as in the other networks, for what watches or compiles one
        self.chroma, self.chroma_head = chroma, chroma_head
        self.register_buffer("colours", torch.tensor(TO_YDBDR), persistent=False)

    def forward(self, crops: Sequence[Tensor]) -> tuple[list[Tensor], None]:
        """Embeddings (N, 2 D) of each set of crops (N, 3, H, W): luma's unit rows, then chroma's."""
        return [self.embed(images) for images in crops], None

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 2 D), float32."""
        with torch.autocast(images.device.type, enabled=False):  # in bf16 neighbouring colours would become one
            colours = self.channels(images)
        luma, chroma = (part.contiguous(memory_format=torch.channels_last) for part in colours.split([1, 2], dim=1))
        return torch.cat([self.head(self.backbone(luma)), self.chroma_head(self.chroma(chroma))], dim=1)

    def channels(self, images: Tensor) -> Tensor:
        """(N, 3, H, W): the first channel is one branch's, the other two are the other's."""
        return torch.einsum("kc,nchw->nkhw", self.colours, images)

    def ema_copy(self) -> "TwoBranchNetwork":
        """A copy with the same weights."""
        return copy.deepcopy(self)


class LearnedTwoBranchNetwork(TwoBranchNetwork):
    """A backbone for the first channel of a generator, which does not learn, and another for the other two."""

    def __init__(self, branches: TwoBranchNetwork, generator: Flow):
        super().__init__(branches.backbone, branches.chroma, branches.head, branches.chroma_head)
        self.generator = generator.requires_grad_(False)

    def channels(self, images: Tensor) -> Tensor:
        found: Tensor = self.generator(images)
        return found


TrainedNetwork = ContrastiveNetwork | PrototypeNetwork | TwoBranchNetwork


def build_network(
    architecture: str,
    *,
    head: HeadKind,
    dim: int,
    patches: int,
    seed: int,
    width: float = 1.0,
    zero_init_last: bool = False,
    start: nn.Module | None = None,
) -> ContrastiveNetwork:
    """A randomly initialised network; equal seeds give equal weights. `patches` 0 leaves the jigsaw head out.

    With `zero_init_last` the last batch norm of every residual branch starts at zero, in ResNets and their like;
    `width` multiplies their channels (see build_backbone). `start` is the backbone of an encoder, of which a copy is
    used instead of a new one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, features = _backbone(architecture, width, zero_init_last, start=start)
        projection = build_head(features, dim, head)
        jigsaw = JigsawHead(features, dim, head, patches) if patches else None
    return ContrastiveNetwork(backbone, projection, jigsaw).to(memory_format=torch.channels_last)


def build_prototype_network(
    architecture: str,
    *,
    prototypes: int,
    dim: int,
    seed: int,
    width: float = 1.0,
    zero_init_last: bool = False,
    start: nn.Module | None = None,
) -> PrototypeNetwork:
    """SwAV's, randomly initialised, or with a copy of the backbone `start`; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, features = _backbone(architecture, width, zero_init_last, start=start)
        network = PrototypeNetwork(backbone, build_head(features, dim, "swav"), prototypes, dim)
    return network.to(memory_format=torch.channels_last)


def build_two_branch_network(
    architecture: str, *, head: HeadKind, dim: int, seed: int, width: float = 1.0, zero_init_last: bool = False
) -> TwoBranchNetwork:
    """CMC's, randomly initialised; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        luma, features = _backbone(architecture, width, zero_init_last, in_chans=1)
        chroma, _ = _backbone(architecture, width, zero_init_last, in_chans=2)
        network = TwoBranchNetwork(luma, chroma, build_head(features, dim, head), build_head(features, dim, head))
    return network.to(memory_format=torch.channels_last)


def _backbone(
    architecture: str, width: float, zero_init_last: bool, in_chans: int = 3, start: nn.Module | None = None
) -> tuple[nn.Module, int]:
    if start is None:
        backbone = build_backbone(architecture, width=width, in_chans=in_chans, zero_init_last=zero_init_last)
    else:
        backbone = copy.deepcopy(start)
    backbone = speed_up_small_maps(backbone)
    return backbone, features_of(backbone)
