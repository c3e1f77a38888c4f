"""A trained classifier: photos in, the probability of each class out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

if TYPE_CHECKING:
    from ...hub.encoder import Encoder
    from ...hub.images import ImageLike


@dataclass(frozen=True)
class Guess:
    """A class and its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Classifier:
    """An encoder and the linear layer that was trained on top of it.

    classes: names, in the order of the layer's rows.
    weight: (C, F) and bias: (C,), float32.
    """

    encoder: Encoder
    classes: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, images: Sequence[ImageLike], *, batch_size: int = 64) -> NDArray[np.float32]:
        """Photos to (N, C) probabilities; rows sum to one.

        Raises:
            DataError: an image cannot be read.
        """
        features = self.encoder.encode(images, batch_size=batch_size, normalise=False)
        found: NDArray[np.float32] = softmax(features @ self.weight.T + self.bias, axis=1)
        return found

    def classify(self, images: Sequence[ImageLike], *, k: int = 5) -> list[list[Guess]]:
        """The k most probable classes of each photo, the likeliest first; all of them if there are fewer.

        Raises:
            DataError: an image cannot be read.
        """
        rows = self.probabilities(images)
        return [
            [Guess(self.classes[place], float(row[place])) for place in np.argsort(-row, kind="stable")[:k]]
            for row in rows
        ]
