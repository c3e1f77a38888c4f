import pytest
import torch

from goodviews.hub.encoder import Encoder
from goodviews.hub.errors import DataError, UsageError
from goodviews.transfer.classification.cached_probe import CachedProbe, fit_layers, linear_cached, sweep
from goodviews.transfer.task import Setup

FEW = CachedProbe(epochs=5, batch_size=16, lr=(0.01, 1.0))


def blobs(images: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(images) % 4
    centres = torch.randn(4, 12, generator=generator)
    return centres[labels] + 0.3 * torch.randn(images, 12, generator=generator), labels


def test_a_layer_does_not_depend_on_the_other_rates_of_the_sweep():
    alone = fit_layers(FEW, [1.0], *blobs(), 4, seed=0)[0]
    together = fit_layers(FEW, [0.01, 1.0, 100.0], *blobs(), 4, seed=0)[1]
    torch.testing.assert_close(together.weight, alone.weight)


def test_one_step_is_the_published_optimisers():
    vectors, labels = blobs(16)
    probe = CachedProbe(epochs=1, batch_size=16, initial="zeros")
    [layer] = fit_layers(probe, [0.5], vectors, labels, 4, seed=0)
    error = torch.full((16, 4), 0.25) - torch.eye(4)[labels]
    torch.testing.assert_close(layer.weight.detach(), -0.5 * error.T @ vectors / 16)


def test_sweep_finds_the_rate_that_learns_and_counts_divergence_as_nothing():
    tried = sweep(CachedProbe(epochs=5, batch_size=16, lr=(1e-6, 0.3, 1e38)), *blobs(), 4, seed=0)
    assert max(tried, key=lambda rate: tried[rate]) == 0.3
    assert tried[1e38] == 0.0


def test_colours_are_distinguished_and_the_report_names_the_rate(encoder, colours, tmp_path, monkeypatch):
    task, setup = (
        linear_cached().with_changes(["epochs=30", "batch_size=6", "lr=[0.01,0.3]"]),
        Setup(cache=tmp_path / "c"),
    )
    report = task.run(encoder, colours, tmp_path / "run", setup=setup)
    assert report.metrics["top1"] > 80
    assert report.details["chosen_lr"] in (0.01, 0.3)
    assert set(report.details["held_out_top1_of_lr"]) == {"0.01", "0.3"}
    monkeypatch.setattr(Encoder, "encode", lambda *_args, **_options: pytest.fail("the features are in the cache"))
    one = linear_cached().with_changes(["epochs=1", "lr=[0.3]"]).run(encoder, colours, tmp_path / "one", setup=setup)
    assert one.details == {**one.details, "chosen_lr": 0.3, "held_out_top1_of_lr": {}}


def test_a_sweep_without_rates_or_without_images_to_hold_out_is_refused(encoder, colours, tmp_path):
    with pytest.raises(UsageError, match=r"lr is \[\]; it must be numbers above 0"):
        linear_cached().with_changes(["lr=[]"]).run(encoder, colours, tmp_path / "run")
    with pytest.raises(DataError, match="no class there has two"):
        sweep(FEW, torch.eye(3), torch.arange(3), 3, seed=0)
