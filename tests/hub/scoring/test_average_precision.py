import numpy as np
import pytest

from goodviews.hub.scoring.average_precision import class_average_precision, label_average_precisions


def test_labels_of_an_image_ranked_by_hand():
    present = np.array([[True, False, True, False]])
    assert label_average_precisions(np.array([[0.9, 0.1, 0.8, 0.2]]), present) == pytest.approx([1.0])
    assert label_average_precisions(np.array([[0.9, 0.8, 0.1, 0.2]]), present) == pytest.approx([(1 + 2 / 4) / 2])


def test_equal_scores_share_a_rank_and_an_image_without_labels_scores_0():
    assert label_average_precisions(np.zeros((2, 4)), np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool)) == pytest.approx(
        [0.25, 0]
    )


def test_both_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    scores, present = random.normal(size=(60, 7)).round(1), random.random((60, 7)) < 0.3
    present[:, 0] |= ~present.any(axis=1)
    rows = [metrics.average_precision_score(truth, row) for truth, row in zip(present, scores)]
    np.testing.assert_allclose(label_average_precisions(scores, present), rows)
    for k in range(7):
        theirs = metrics.average_precision_score(present[:, k], scores[:, k])
        assert class_average_precision(scores[:, k], present[:, k], envelope=False) == pytest.approx(theirs)


def test_the_envelope_takes_the_best_precision_at_that_recall_or_beyond():
    scores, present = np.array([4.0, 3.0, 2.0, 1.0]), np.array([False, True, True, False])
    assert class_average_precision(scores, present, envelope=False) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert class_average_precision(scores, present) == pytest.approx(2 / 3)
    assert np.isnan(class_average_precision(scores, np.zeros(4, bool)))


def test_what_image_and_class_precisions_measure_differs():
    """Class frequencies alone rank an image's labels well and a class's images not at all."""
    random = np.random.default_rng(1)
    present = random.random((400, 5)) < np.array([0.7, 0.2, 0.1, 0.1, 0.1])
    present = present[present.any(axis=1)]
    scores = np.tile([0.7, 0.2, 0.1, 0.05, 0.01], (len(present), 1))
    of_classes = np.mean([class_average_precision(scores[:, k], present[:, k]) for k in range(5)])
    assert label_average_precisions(scores, present).mean() > 2 * of_classes


def test_an_image_that_counts_twice_is_as_good_as_two():
    noise = np.random.default_rng(0)
    scores, present, times = noise.normal(size=9), noise.random(9) < 0.5, noise.integers(0, 3, 9)
    for envelope in (True, False):
        weighted = class_average_precision(scores, present, times=times, envelope=envelope)
        repeated = class_average_precision(scores.repeat(times), present.repeat(times), envelope=envelope)
        assert weighted == pytest.approx(repeated)
