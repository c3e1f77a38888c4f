import pytest
import torch

from goodviews.transfer.classification.confusion import confusion, draw_confusion
from goodviews.transfer.classification.scoring import accuracies


def test_mean_per_class_weighs_classes_alike():
    scores = torch.eye(3)[[0, 0, 0, 1]]
    metrics = accuracies(scores, torch.tensor([0, 0, 0, 2]))
    assert metrics["top1"] == 75.0
    assert metrics["mean_per_class"] == 50.0  # class 1 has no image and does not count
    assert "top5" not in metrics


def test_top5_counts_the_five_best():
    scores = torch.arange(7.0).repeat(7, 1)
    metrics = accuracies(scores, torch.arange(7))
    assert metrics["top1"] == pytest.approx(100 / 7)
    assert metrics["top5"] == pytest.approx(500 / 7)


def test_classes_without_a_vote_earn_no_top5():
    votes = torch.zeros(4, 8)
    votes[:, 6] = 1.0
    assert accuracies(votes, torch.tensor([0, 1, 2, 6]))["top5"] == 25.0


def test_confusion_counts_labels_in_rows(tmp_path):
    labels, predicted = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 1])
    assert confusion(labels, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    draw_confusion(tmp_path / "c.png", labels, predicted, ["a", "b", "c"], "title")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
