"""The fingerprint is the same on every device: a GPU takes it without the short numbers of TF32."""

import numpy as np
import torch

from goodviews.hub.fingerprint import fingerprint, fingerprint_vector

PLACES = (torch.backends.cudnn, torch.backends.cuda.matmul)


class Watching:
    """Stands in for an encoder: notes whether TF32 is on when it encodes."""

    def encode(self, images: list[object]) -> np.ndarray:
        self.met = [place.allow_tf32 for place in PLACES]
        return np.array([[0.6, 0.8]])


def test_a_fingerprint_is_taken_without_tf32_and_what_was_set_comes_back():
    encoder, before = Watching(), [place.allow_tf32 for place in PLACES]
    try:
        for place, value in zip(PLACES, (True, False)):
            place.allow_tf32 = value
        np.testing.assert_allclose(fingerprint_vector(fingerprint(encoder)), [0.6, 0.8], rtol=1e-6)
        assert encoder.met == [False, False]
        assert [place.allow_tf32 for place in PLACES] == [True, False]
    finally:
        for place, value in zip(PLACES, before):
            place.allow_tf32 = value
