"""Exact search: ties by the lower row, be they more than the candidates that are asked for first."""

import numpy as np

from goodviews.export.nearest.exact import SPARE, nearest_rows
from goodviews.export.nearest.segments import Segment

ULP = np.float32(2**-24)  # of numbers just below 1


def test_ties_are_found_in_order_however_many_they_are():
    rows = np.zeros((400, 8), np.float32)
    rows[:, 0] = [1 - 4 * ULP] * 150 + [1] * 250  # alike but for rounding, the later ones ahead
    rows[390:] = np.eye(8)[1]
    queries = np.eye(8, dtype=np.float32)[:2]
    similarities, found = nearest_rows(
        queries, [Segment(10, rows[:300], np.arange(300)), Segment(310, rows[300:], np.arange(100))], 5
    )
    assert 2 * (5 + SPARE) < 150
    assert found.tolist() == [[10, 11, 12, 13, 14], [400, 401, 402, 403, 404]]
    np.testing.assert_allclose(similarities, 1, atol=1e-6)
    few = np.zeros(500, bool)
    few[[20, 300, 301]] = True
    assert nearest_rows(queries, [Segment(0, rows, np.arange(400))], 3, few)[1][0].tolist() == [20, 300, 301]
