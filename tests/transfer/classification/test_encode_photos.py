"""Photos that processes share: their vectors come back in order, or none at all."""

import numpy as np

from goodviews.transfer.classification.encode_photos import _in_order


def test_shares_without_any_readable_photo_are_no_vectors():
    alone, without_photos = np.empty((0, 8), np.float32), np.empty((0, 0), np.float32)
    assert _in_order([alone, without_photos], 1, {0}).shape == (0, 8)


def test_shares_of_different_sizes_come_back_in_order():
    shares = [np.array([[0.0], [2.0]]), np.array([[3.0]])]  # photo 1 cannot be read
    assert _in_order(shares, 4, {1}).tolist() == [[0.0], [2.0], [3.0]]
