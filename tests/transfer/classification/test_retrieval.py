import numpy as np
import pytest
import torch

from goodviews.hub.errors import DataError
from goodviews.transfer.classification.features import Features
from goodviews.transfer.classification.retrieval import rank, retrieval


def part(vectors, labels) -> Features:
    return Features(torch.tensor(vectors), torch.tensor(labels), ("",) * len(labels))


def test_precision_of_a_ranking_worked_out_by_hand():
    gallery = part([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]], [0, 1, 0, 1])
    precisions, first = rank(part([[2.0, 0.0]], [0]), gallery, [1, 2])
    assert precisions.tolist() == pytest.approx([(1 + 2 / 3) / 2])
    assert [first[1].item(), first[2].item()] == pytest.approx([1.0, 0.5])


def test_agrees_with_scikit_learn_and_does_not_depend_on_blocks():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    query = part(random.normal(size=(30, 6)).astype(np.float32), random.integers(0, 3, 30))
    gallery = part(random.normal(size=(50, 6)).astype(np.float32), random.integers(0, 3, 50))
    precisions, _ = rank(query, gallery, [], query_rows=7)
    unit = torch.nn.functional.normalize
    similarities = (unit(query.vectors, dim=1) @ unit(gallery.vectors, dim=1).T).numpy()
    theirs = [
        metrics.average_precision_score((gallery.labels == label).numpy(), row)
        for label, row in zip(query.labels, similarities)
    ]
    np.testing.assert_allclose(precisions.numpy(), theirs, rtol=1e-5)


def test_a_class_that_the_gallery_lacks_scores_0():
    assert rank(part([[1.0, 0.0]], [5]), part([[1.0, 0.0]], [0]), [1])[0].tolist() == [0.0]


def test_colours_are_found_and_broken_photos_listed(encoder, colours, tmp_path):
    (colours / "train" / "red" / "broken.jpg").write_bytes(b"not an image")
    report = retrieval().run(encoder, colours, tmp_path / "run")
    assert report.metrics["mAP"] > 80
    assert report.metrics["mAP_low"] <= report.metrics["mAP"] <= report.metrics["mAP_high"]
    assert set(report.details["mAP_of_class"]) == {"red", "green", "blue"}
    assert "broken.jpg" in (tmp_path / "run" / "skipped.txt").read_text()


def test_a_folder_without_two_parts_is_refused(encoder, colours, tmp_path):
    with pytest.raises(DataError, match="must hold train/<class>/"):
        retrieval().run(encoder, colours / "train", tmp_path / "run")
