"""The shapes of learning-rate schedules, at points that can be worked out by hand."""

import pytest

from goodviews.hub.schedules import cosine, linear, steps


def test_a_step_counts_from_the_moment_it_is_reached():
    assert [steps(1.0, done, (10, 20), 0.5) for done in (0, 9, 10, 19, 20, 99)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert steps(0.3, 7, (), 0.1) == 0.3


def test_half_a_cosine_falls_slowly_at_both_ends_and_is_half_way_in_the_middle():
    values = [cosine(3.0, 1.0, done) for done in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert values == pytest.approx([3.0, 2 + 0.5**0.5, 2.0, 2 - 0.5**0.5, 1.0])
    assert cosine(3.0, 1.0, 50, 200) == pytest.approx(values[1])


def test_a_cosine_climbs_again_beyond_its_end():
    assert cosine(1.0, 0.0, 24, 12) == pytest.approx(1.0)


def test_a_linear_climb_begins_and_ends_at_its_ends():
    assert [linear(0.1, 0.5, done) for done in (0.0, 0.25, 1.0)] == pytest.approx([0.1, 0.2, 0.5])
