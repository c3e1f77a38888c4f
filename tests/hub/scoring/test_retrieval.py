import numpy as np
import pytest
import torch

from goodviews.hub.scoring.retrieval import rank_gallery


def test_precision_of_a_ranking_worked_out_by_hand():
    gallery = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    precisions, first = rank_gallery(
        torch.tensor([[2.0, 0.0]]), torch.tensor([0]), gallery, torch.tensor([0, 1, 0, 1]), at=[1, 2]
    )
    assert precisions.tolist() == pytest.approx([(1 + 2 / 3) / 2])
    assert [first[1].item(), first[2].item()] == pytest.approx([1.0, 0.5])


def test_agrees_with_scikit_learn_and_does_not_depend_on_blocks():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    queries, gallery = (torch.from_numpy(random.normal(size=(n, 6)).astype(np.float32)) for n in (30, 50))
    labels, theirs = (torch.from_numpy(random.integers(0, 3, n)) for n in (30, 50))
    precisions, _ = rank_gallery(queries, labels, gallery, theirs, at=[], query_rows=7)
    unit = torch.nn.functional.normalize
    similarities = (unit(queries, dim=1) @ unit(gallery, dim=1).T).numpy()
    expected = [metrics.average_precision_score(theirs == label, row) for label, row in zip(labels, similarities)]
    np.testing.assert_allclose(precisions.numpy(), expected, rtol=1e-5)


def test_a_class_that_the_gallery_lacks_scores_0():
    one = torch.tensor([[1.0, 0.0]])
    assert rank_gallery(one, torch.tensor([5]), one, torch.tensor([0]), at=[1])[0].tolist() == [0.0]
