"""The schedule of the detection protocols, and how it follows another batch size."""

import pytest

from goodviews.transfer.detection.settings import DetectionSettings, scale_to_batch

PUBLISHED = DetectionSettings()


def test_learning_rate_warms_up_and_falls_as_published():
    rates = [PUBLISHED.learning_rate(i) for i in (0, 50, 100, 17_999, 18_000, 22_000)]
    assert rates == pytest.approx([0.00002, 0.01001, 0.02, 0.02, 0.002, 0.0002])


@pytest.mark.parametrize(
    ("batch", "lr", "steps", "iterations", "warmup"),
    [(8, 0.01, (36_000, 44_000), 48_000, 200), (2, 0.0025, (144_000, 176_000), 192_000, 800)],
)
def test_other_batch_sizes_scale_the_schedule_linearly(batch, lr, steps, iterations, warmup):
    changed = scale_to_batch(PUBLISHED, batch)
    assert changed["lr"] == pytest.approx(lr)
    assert (changed["lr_steps"], changed["iterations"], changed["warmup_iterations"]) == (steps, iterations, warmup)
