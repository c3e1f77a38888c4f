"""How good the features are while they are learned: nearest neighbours of frozen features, for labelled folders.

A gauge, not a result: it looks at a few thousand images at the recipe's own size. `goodviews transfer knn` measures.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...hub.encoder import Encoder
from ...hub.errors import DataError
from ...hub.scoring.knn import vote
from ...hub.sources.source import Data, Source, read_photo

log = logging.getLogger(__name__)

NEIGHBOURS, TEMPERATURE = 20, 0.07
MOST_BYTES = 512 * 2**20


@dataclass(frozen=True)
class LabelledImages:
    """Decoded photos: (N, 3, px, px) uint8 as the encoder's evaluation transform crops them, and their (N,) labels."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class OnlineKnn:
    """kNN top-1 in percent: `test` against `bank`, or, without `test`, every image of `bank` against the others."""

    bank: LabelledImages
    test: LabelledImages | None

    def __call__(self, encoder: Encoder) -> float:
        features = _features(encoder, self.bank.pixels)
        if self.test is None:
            similarities = features @ features.T
            similarities.fill_diagonal_(-2)  # below every cosine: an image is not its own neighbour
            return _top1(similarities, self.bank.labels, self.bank.labels)
        return _top1(_features(encoder, self.test.pixels) @ features.T, self.bank.labels, self.test.labels)


def online_knn(data: Data, encoder: Encoder) -> OnlineKnn | None:
    """Decode the labelled images of `data` once; None where it has fewer than two classes.

    Of large folders a random part is taken that fits into half a gigabyte.
    """
    if len(data.train.classes) < 2:
        return None
    if data.test is None:
        return OnlineKnn(_decode(data.train, encoder, 1.0), None)
    share = len(data.train) / (len(data.train) + len(data.test))
    return OnlineKnn(_decode(data.train, encoder, share), _decode(data.test, encoder, 1 - share))


def _top1(similarities: Tensor, labels: Tensor, truth: Tensor) -> float:
    near = similarities.topk(min(NEIGHBOURS, similarities.shape[1]), dim=1)
    votes = vote(near.values, labels[near.indices], temperature=TEMPERATURE, classes=int(labels.max()) + 1)
    return 100 * float((votes.argmax(dim=1) == truth).float().mean())


def _decode(source: Source, encoder: Encoder, share: float) -> LabelledImages:
    px = encoder.preprocessing.input_px
    limit = int(MOST_BYTES * share) // (3 * px * px)
    chosen = np.random.default_rng(0).permutation(len(source))[:limit]
    if len(chosen) < len(source):
        log.info("online kNN looks at %d of the %d images of %s", len(chosen), len(source), source.name)
    assert source.labels is not None
    pixels, labels = [], []
    for position in sorted(chosen.tolist()):
        try:
            pixels.append(_to_bytes(encoder, encoder.preprocess(read_photo(source, position))))
        except DataError:
            continue  # the loader lists unreadable images
        labels.append(int(source.labels[position]))
    return LabelledImages(torch.stack(pixels), torch.tensor(labels))


@torch.inference_mode()
def _features(encoder: Encoder, pixels: Tensor) -> Tensor:
    """(N, F) unit rows, on the CPU."""
    device = next(encoder.parameters()).device
    rows = [encoder.embed(_normalised(encoder, part.to(device))).cpu() for part in pixels.split(128)]
    return torch.cat(rows)


def _mean_and_std(encoder: Encoder, like: Tensor) -> tuple[Tensor, Tensor]:
    p = encoder.preprocessing
    return tuple(torch.tensor(v, device=like.device).view(3, 1, 1) for v in (p.mean, p.std))  # type: ignore[return-value]


def _to_bytes(encoder: Encoder, image: Tensor) -> Tensor:
    """Undo the normalisation: the transform starts from 8 bits, so nothing is lost, in a quarter of the memory."""
    mean, std = _mean_and_std(encoder, image)
    return ((image * std + mean) * 255).round().clamp(0, 255).byte()


def _normalised(encoder: Encoder, pixels: Tensor) -> Tensor:
    mean, std = _mean_and_std(encoder, pixels)
    return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
