import numpy as np
import pytest
import torch

from goodviews.transfer.classification.linear_svm import fit_classes


def features() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(90, 8, generator=generator), dim=1)
    signs = torch.where(vectors[:, :2] + 0.2 * torch.randn(90, 2, generator=generator) > 0.2, 1.0, -1.0)
    return vectors, signs


@pytest.mark.parametrize("c", [0.01, 0.5, 10.0])
def test_solution_agrees_with_liblinear(c):
    svm = pytest.importorskip("sklearn.svm").LinearSVC
    vectors, signs = features()
    ours = fit_classes(vectors, signs, torch.where(signs > 0, 2.0, 1.0), torch.full((2,), c))(vectors).numpy()
    for k in range(2):
        theirs = svm(C=c, class_weight={1: 2, -1: 1}, max_iter=100_000, tol=1e-8).fit(vectors, signs[:, k])
        np.testing.assert_allclose(ours[:, k], theirs.decision_function(vectors), atol=5e-3)


def test_classes_do_not_touch_each_other():
    vectors, signs = features()
    weights, c = torch.ones_like(signs), torch.tensor([0.1, 10.0])
    both = fit_classes(vectors, signs, weights, c).weight
    alone = fit_classes(vectors, signs[:, 1:], weights[:, 1:], c[1:]).weight
    torch.testing.assert_close(both[1:], alone, atol=5e-3, rtol=1e-2)


def test_a_photo_of_weight_0_is_left_out():
    vectors, signs = features()
    weights = torch.ones_like(signs)
    weights[60:] = 0
    c = torch.tensor([1.0, 1.0])
    part = fit_classes(vectors[:60], signs[:60], weights[:60], c).weight
    torch.testing.assert_close(fit_classes(vectors, signs, weights, c).weight, part, atol=1e-3, rtol=1e-3)


def test_logistic_solution_agrees_with_scikit_learn():
    regression = pytest.importorskip("sklearn.linear_model").LogisticRegression
    vectors, signs = features()
    inputs = np.hstack([vectors.numpy(), np.ones((90, 1), np.float32)])  # the bias is penalised here
    ours = fit_classes(vectors, signs, torch.ones_like(signs), torch.full((2,), 3.0), loss="logistic")(vectors).numpy()
    theirs = regression(C=3.0, fit_intercept=False, tol=1e-9, max_iter=2000).fit(inputs, signs[:, 0])
    np.testing.assert_allclose(ours[:, 0], theirs.decision_function(inputs), atol=5e-3)
