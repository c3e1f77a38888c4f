import numpy as np
import pytest

from goodviews.pretrain.analysis.curve import fit_curve


def seeds(values, spread, seed):
    random = np.random.default_rng(seed)
    return [[value + spread * random.standard_normal() for _ in range(3)] for value in values]


def test_an_inverse_u_is_found_with_its_apex():
    x = np.linspace(0, 4, 9)
    curve = fit_curve(seeds(x, 0.01, 0), seeds(50 - 3 * (x - 1.5) ** 2, 0.2, 1))
    assert curve.apex == pytest.approx(1.5, abs=0.1)
    assert curve.apex_low < 1.5 < curve.apex_high
    assert curve.inside > 0.95
    assert curve.r2 > 0.98
    assert "An inverse U shows" in curve.sentence()


@pytest.mark.parametrize("slope", [4.0, -4.0])
def test_a_straight_line_has_no_apex_that_is_sure(slope):
    x = np.linspace(0, 4, 9)
    assert fit_curve(seeds(x, 0.01, 0), seeds(30 + slope * x, 0.2, 1)).inside < 0.95


def test_noise_is_not_called_an_inverse_u():
    x = np.linspace(0, 4, 9)
    assert "An inverse U shows" not in fit_curve(seeds(x, 0.01, 0), seeds(0 * x, 1.0, 5)).sentence()


def test_three_points_are_too_few():
    assert fit_curve([[1.0], [2.0], [3.0]], [[1.0], [2.0], [1.0]]).sentence() == "Too few points for a curve."
