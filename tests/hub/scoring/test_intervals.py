import math

import pytest

from goodviews.hub.scoring.intervals import normal, wilson


def test_wilson_interval_equals_published_values():
    # Newcombe 1998, table I, method 3: 81 of 263 and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20)[1] == 1.0


def test_wilson_interval_equals_its_formula():
    share, z = 471 / 1000, 1.959964  # the normal distribution's 97.5 % point
    centre = (share + z**2 / 2000) / (1 + z**2 / 1000)
    half = z * math.sqrt(share * (1 - share) / 1000 + z**2 / (4 * 1000**2)) / (1 + z**2 / 1000)
    assert wilson(471, 1000) == pytest.approx((centre - half, centre + half), abs=1e-7)


def test_normal_interval_worked_by_hand():
    half = 1.959964 * math.sqrt((9 + 1 + 16) / 2) / math.sqrt(3)  # mean 53, deviations -3, -1, 4
    assert normal([50.0, 52.0, 57.0]) == pytest.approx((53 - half, 53 + half), abs=1e-5)
    assert normal([7.0]) == (7.0, 7.0)
    assert normal([4.0, 4.0]) == (4.0, 4.0)
