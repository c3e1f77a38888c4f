"""The small networks of sweeps: convolutions for 32 to 64 px and a head, one for both views or one for each."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.heads import HeadKind, build_head


class SmallEncoder(nn.Sequential):
    """(N, C, H, W) -> (N, 8 * width) features: four convolutions of 3 x 3 with batch norm, three of them of stride 2.

    About the size of the AlexNet halves of the InfoMin paper's analyses; 32 px become maps of 4 px, then a mean.
    """

    def __init__(self, channels: int, width: int):
        layers: list[nn.Module] = []
        for wide, stride in ((width, 2), (2 * width, 2), (4 * width, 1), (8 * width, 2)):
            layers += [nn.Conv2d(channels, wide, 3, stride, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            channels = wide
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.num_features = channels


class PairNetwork(nn.Module):
    """An encoder and a head for all views, or one of each for every view."""

    def __init__(self, channels: Sequence[int], *, width: int, dim: int, head: HeadKind | None):
        super().__init__()
        encoders = [SmallEncoder(count, width) for count in channels]
        features = encoders[0].num_features
        self.encoders = nn.ModuleList(encoders)
        self.heads = nn.ModuleList(nn.Identity() if head is None else build_head(features, dim, head) for _ in channels)

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Unit rows (N, D), float32, of each view (N, C, H, W)."""
        return [F.normalize(self.heads[i](self._features(i, view)).float(), dim=1) for i, view in self._places(views)]

    def features(self, views: Sequence[Tensor]) -> Tensor:
        """What is scored: the features of each network side by side, (N, F)."""
        return torch.cat([self._features(i, view) for i, view in self._places(views)], dim=1).float()

    def _features(self, place: int, view: Tensor) -> Tensor:
        found: Tensor = self.encoders[place](view.contiguous(memory_format=torch.channels_last))
        return found

    def _places(self, views: Sequence[Tensor]) -> list[tuple[int, Tensor]]:
        return [(min(place, len(self.encoders) - 1), view) for place, view in enumerate(views)]


def build_pair_network(
    channels: Sequence[int], *, width: int, dim: int, head: HeadKind | None, seed: int
) -> PairNetwork:
    """A randomly initialised network; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PairNetwork(channels, width=width, dim=dim, head=head)
    return network.to(memory_format=torch.channels_last)
