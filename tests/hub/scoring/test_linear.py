import pytest
import torch
import torch.nn.functional as F

from goodviews.hub.errors import DataError
from goodviews.hub.scoring.linear import fit_probe

SETTINGS = {"held_out": 0.2, "max_steps": 200, "l2": (1.0, 0.1, 0.01, 0.001), "seed": 0}


def blobs(images: int, classes: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % classes
    centres = torch.randn(classes, 12, generator=torch.Generator().manual_seed(99))
    return centres[labels] + spread * torch.randn(images, 12, generator=generator), labels


def test_separable_features_are_separated():
    train, labels = blobs(60, 3, spread=0.1)
    test, truth = blobs(30, 3, spread=0.1, seed=1)
    layer, _ = fit_probe(train, labels, classes=3, **SETTINGS)
    assert (layer(test).argmax(dim=1) == truth).all()


def test_scale_and_offset_of_each_feature_do_not_matter():
    train, labels = blobs(80, 4, spread=0.8)
    test, _ = blobs(40, 4, spread=0.8, seed=1)
    scale, offset = torch.logspace(-2, 2, 12), torch.linspace(-5, 5, 12)
    plain, chosen = fit_probe(train, labels, classes=4, **SETTINGS)
    moved, chosen_too = fit_probe(train * scale + offset, labels, classes=4, **SETTINGS)
    assert chosen == chosen_too
    torch.testing.assert_close(moved(test * scale + offset), plain(test), rtol=2e-2, atol=2e-2)


def test_a_feature_that_never_moves_does_not_count():
    train, labels = blobs(40, 2, spread=0.3)
    train[:, 3] = 7.0
    layer, _ = fit_probe(train, labels, classes=2, **SETTINGS)
    other = train.clone()
    other[:, 3] = -1000.0
    torch.testing.assert_close(layer(other), layer(train))
    assert layer(train).isfinite().all()


def test_noise_wants_a_strong_penalty():
    generator = torch.Generator().manual_seed(4)
    train = torch.randn(100, 60, generator=generator)
    labels = (train[:, 0] + 1.5 * torch.randn(100, generator=generator) > 0).long()
    _, chosen = fit_probe(train, labels, classes=2, **SETTINGS)
    assert chosen >= 0.1


def test_equal_seeds_give_equal_layers_and_other_seeds_hold_out_other_images():
    train, labels = blobs(60, 3, spread=2.0)
    seeds = (0, 0, 1, 2, 3, 4, 5, 6)
    layers, chosen = zip(*(fit_probe(train, labels, classes=3, **{**SETTINGS, "seed": seed}) for seed in seeds))
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert len(set(chosen)) > 1


def test_random_labels_score_chance():
    generator = torch.Generator().manual_seed(5)
    train, test = torch.randn(300, 10, generator=generator), torch.randn(1000, 10, generator=generator)
    labels, truth = torch.arange(300) % 2, torch.arange(1000) % 2
    layer, _ = fit_probe(train, labels, classes=2, **SETTINGS)
    right = float((layer(test).argmax(dim=1) == truth).float().mean())
    assert 0.43 < right < 0.57


def test_solution_agrees_with_scikit_learn():
    regression = pytest.importorskip("sklearn.linear_model").LogisticRegression
    train, labels = blobs(90, 3, spread=1.5)
    layer, _ = fit_probe(train, labels, classes=3, **{**SETTINGS, "l2": (0.05,)})
    inputs = ((train - train.mean(0)) / train.std(0, correction=0)).numpy()
    theirs = regression(C=1 / (0.05 * len(train)), tol=1e-8, max_iter=1000).fit(inputs, labels.numpy())
    ours = F.softmax(layer(train), dim=1).numpy()
    assert abs(theirs.predict_proba(inputs) - ours).max() < 1e-3


def test_one_image_a_class_is_refused():
    with pytest.raises(DataError, match="two readable images"):
        fit_probe(torch.eye(3), torch.arange(3), classes=3, **SETTINGS)
