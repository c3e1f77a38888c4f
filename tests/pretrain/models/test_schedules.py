"""Learning rates worked out by hand."""

import pytest

from goodviews.pretrain.models.schedules import MocoCosine, Moment, PyContrastCosine, Steps, WarmupCosine


@pytest.mark.parametrize(("epoch", "lr"), [(1, 0.02999815), (100, 0.015015), (150, 0.0044190), (200, 3.0e-5)])
def test_pycontrast_cosine_counts_from_one_and_ends_at_a_thousandth(epoch, lr):
    assert PyContrastCosine()(0.03, Moment(epoch - 1, 0, 10, 200, 256)) == pytest.approx(lr, rel=1e-4)


def test_a_batch_above_256_climbs_to_the_cosine_of_epoch_5():
    def lr(epoch, step):
        return PyContrastCosine()(0.06, Moment(epoch, step, 10, 200, 512))

    assert lr(0, 0) == 0.01
    assert lr(4, 9) < 0.0599076
    assert PyContrastCosine()._cosine(0.06, 5, 200) == pytest.approx(0.0599076, abs=1e-7)
    assert lr(5, 0) == pytest.approx(PyContrastCosine()._cosine(0.06, 6, 200))


@pytest.mark.parametrize(("epoch", "lr"), [(0, 0.03), (1, 0.02999815), (100, 0.015), (150, 0.0043934), (199, 1.85e-6)])
def test_moco_cosine_counts_from_zero_and_has_no_floor(epoch, lr):
    assert MocoCosine()(0.03, Moment(epoch, 0, 10, 200, 512)) == pytest.approx(lr, rel=1e-3)


@pytest.mark.parametrize(("epoch", "lr"), [(120, 0.03), (121, 0.003), (161, 0.0003)])
def test_steps_fall_once_as_many_epochs_are_done(epoch, lr):
    """Epochs as PyContrast counts them, from 1."""
    assert Steps()(0.03, Moment(epoch - 1, 0, 10, 200, 256)) == pytest.approx(lr)


@pytest.mark.parametrize(
    ("epoch", "step", "lr"), [(0, 0, 0.0), (0, 5, 0.24), (9, 5, 4.56), (10, 0, 4.8), (55, 0, 2.4), (99, 9, 1.4622e-5)]
)
def test_warm_up_climbs_to_the_base_rate_and_a_cosine_falls_from_there_a_step_at_a_time(epoch, step, lr):
    assert WarmupCosine()(4.8, Moment(epoch, step, 10, 100, 4096)) == pytest.approx(lr, rel=1e-3)


def test_swavs_climb_starts_above_zero_and_its_cosine_ends_at_a_thousandth():
    schedule = WarmupCosine(warmup_epochs=10, warmup_from=0.3, end=0.001)
    assert schedule(4.8, Moment(0, 0, 10, 100, 4096)) == 0.3
    assert schedule(4.8, Moment(5, 0, 10, 100, 4096)) == pytest.approx((0.3 + 4.8) / 2)
    assert schedule(4.8, Moment(99, 10, 10, 100, 4096)) == pytest.approx(0.0048)
