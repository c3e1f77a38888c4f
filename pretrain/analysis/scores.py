"""What a small network is worth: I_NCE of held-out pairs, a linear probe and neighbours on whole photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...hub.scoring.intervals import wilson
from ...hub.scoring.knn import weighted_knn
from ...hub.scoring.linear import fit_probe
from ..randomness import step_seed
from .mutual_information import held_out_blocks
from .pairs import Pairs
from .photo_arrays import PhotoSet, SplitPhotos
from .small_network import PairNetwork

LARGEST_BLOCK = 256  # pairs among which a partner is found: K = 255, as many as a batch of the training has
PASSES = 3  # over the test photos; the first one chooses the temperature
NEIGHBOURS, KNN_TEMPERATURE = 20, 0.07
PENALTIES = (1e-3, 1e-2, 1e-1)
PROBE_STEPS = 60
_ROWS = 512


class Embeds(Protocol):
    """A network that gives unit rows (N, D) for each view."""

    def __call__(self, views: Sequence[Tensor], /) -> list[Tensor]: ...


@dataclass(frozen=True)
class Score:
    """Top-1 accuracy in percent with its 95 % Wilson interval over the test photos."""

    top1: float
    low: float
    high: float
    images: int


def score_of(predicted: Tensor, labels: Tensor) -> Score:
    """The share of right predictions."""
    right, images = int((predicted == labels).sum()), len(labels)
    low, high = wilson(right, images)
    return Score(100 * right / images, 100 * low, 100 * high, images)


@torch.no_grad()
def held_out_information(network: Embeds, pairs: Pairs, photos: PhotoSet, *, seed: int) -> tuple[list[float], int]:
    """I_NCE of each block of pairs of photos that the network did not learn from, and K."""
    size = min(LARGEST_BLOCK, len(photos))
    passes = []
    for number in range(PASSES):
        generator = torch.Generator().manual_seed(step_seed(seed, number, rank=1))
        order = torch.randperm(len(photos), generator=generator)[: len(photos) // size * size]
        parts = [network(pairs.draw(photos, rows, generator)) for rows in order.split(_ROWS)]
        passes.append((torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])))
    blocks = [
        value for both in passes[1:] for value in held_out_blocks(both, for_temperature=passes[0], negatives=size - 1)
    ]
    return blocks, size - 1


@torch.no_grad()
def features(network: PairNetwork, pairs: Pairs, images: Tensor, *, after_head: bool = False) -> Tensor:
    """(N, F) of whole photos; with `after_head` what is contrasted."""
    parts = []
    for part in images.split(_ROWS):
        whole = pairs.whole(part)
        parts.append(torch.cat(network(whole), dim=1) if after_head else network.features(whole))
    return torch.cat(parts)


def score_features(
    train: Tensor, test: Tensor, photos: SplitPhotos, *, probes: bool = True
) -> Iterator[tuple[str, Score]]:
    """By "knn LABEL" and "linear LABEL", for every label that the photos have."""
    for name, classes in photos.classes.items():
        given, wanted = photos.train.labels[name], photos.test.labels[name]
        setting = (min(NEIGHBOURS, len(train)), KNN_TEMPERATURE)
        votes = weighted_knn(test, train, given, classes=classes, settings=[setting])[setting]
        yield f"knn {name}", score_of(votes.argmax(dim=1), wanted)
        if probes:
            layer, _ = fit_probe(
                train, given, classes=classes, l2=PENALTIES, held_out=0.2, max_steps=PROBE_STEPS, seed=0
            )
            yield f"linear {name}", score_of(layer(test).argmax(dim=1), wanted)
