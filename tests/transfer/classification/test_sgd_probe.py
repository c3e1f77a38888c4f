import json
import math
from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2

from goodviews.hub.errors import ArtifactError, DataError, GoodviewsError, UsageError
from goodviews.hub.images import read_image
from goodviews.transfer.classification.epochs import Best, train_epochs
from goodviews.transfer.classification.linear_layer import new_layer
from goodviews.transfer.classification.schedules import Cosine, Steps, Waves, scale_to_batch
from goodviews.transfer.classification.sgd_probe import (
    SgdProbe,
    linear_clsa,
    linear_moco,
    linear_pycontrast,
    linear_simclr,
)
from goodviews.transfer.classification.training_images import TrainingImages, as_input, crop_and_flip, normalised
from goodviews.transfer.registry import find_task
from goodviews.transfer.task import Setup
from goodviews.transfer.training_state import TrainingState


def rate(task, epoch, share=0.0):
    probe = task.measure
    return probe.schedule(probe.lr, epoch=epoch, share=share, epochs=probe.epochs)


def test_published_rates_are_the_published_ones():
    assert [rate(linear_pycontrast(), epoch) for epoch in (0, 29, 30, 40, 50, 59)] == pytest.approx(
        [30, 30, 6, 1.2, 0.24, 0.24]
    )
    assert [rate(linear_moco(), epoch) for epoch in (0, 59, 60, 80)] == pytest.approx([30, 30, 3, 0.3])
    assert [rate(linear_clsa(), epoch) for epoch in (0, 50, 99)] == pytest.approx([10, 5.005, 0.012465], rel=1e-4)
    assert rate(linear_simclr(), 45) == pytest.approx(0.8)
    assert rate(linear_simclr(), 44, share=0.5) > rate(linear_simclr(), 45)


def test_rates_of_the_waves_are_those_of_the_voc_probe():
    waves = [Waves(12)(0.05, epoch=number - 1, share=0, epochs=100) for number in (1, 6, 12, 18, 24, 100)]
    assert waves == pytest.approx([0.049148, 0.025, 0, 0.025, 0.05, 0.0375], abs=1e-6)


def test_a_rate_moves_within_the_epoch_only_where_the_schedule_says_so():
    assert Cosine()(1.0, epoch=1, share=0.9, epochs=4) == Cosine()(1.0, epoch=1, share=0.0, epochs=4)
    assert Steps((2,), 0.1)(1.0, epoch=1, share=0.99, epochs=4) == 1.0


def test_published_settings_are_the_published_ones():
    settings = {
        task.name: task.measure for task in (linear_pycontrast(), linear_moco(), linear_clsa(), linear_simclr())
    }
    assert [(s.epochs, s.batch_size, s.weight_decay, s.nesterov) for s in settings.values()] == [
        (60, 256, 0, False),
        (100, 256, 0, False),
        (100, 256, 0, False),
        (90, 4096, 1e-6, True),
    ]
    assert [s.initial for s in settings.values()] == ["default", "normal", "normal", "zeros"]
    assert [s.crop_scale[0] for s in settings.values()] == [0.2, 0.08, 0.08, 0.08]
    assert settings["linear-clsa"].reported == settings["linear-moco"].reported == "best epoch on test"


def test_layers_start_as_published():
    normal, zeros = new_layer(2000, 10, "normal", 0), new_layer(5, 3, "zeros", 0)
    assert float(normal.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert not normal.bias.any()
    assert not zeros.weight.any()
    assert torch.equal(new_layer(5, 3, "default", 1).weight, new_layer(5, 3, "default", 1).weight)


def test_colours_are_distinguished_in_a_few_epochs_and_the_curve_is_kept(encoder, colours, tmp_path):
    task = linear_pycontrast().with_changes(["epochs=4", "lr=1"])
    report = task.run(encoder, colours, tmp_path / "run", setup=Setup(batch_size=6))
    assert report.task == "linear-pycontrast [epochs=4, lr=1]"
    assert report.metrics["top1"] > 60
    assert (report.protocol.settings["batch_size"], report.protocol.settings["lr"]) == (6, pytest.approx(6 / 256))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (tmp_path / "run" / "predictions.csv").is_file()


def test_best_epoch_is_reported_where_the_protocol_says_so(encoder, colours, tmp_path):
    probe = SgdProbe(lr=0.3, epochs=3, batch_size=6, reported="best epoch on test")
    report = replace(linear_moco(), measure=probe).run(encoder, colours, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert report.metrics["top1"] == report.metrics["top1_best_epoch"] == max(row["top1"] for row in rows)
    assert rows[report.details["reported_epoch"] - 1]["top1"] == report.metrics["top1"]


def test_the_encoder_is_left_as_it_was(encoder, colours, tmp_path):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    linear_clsa().with_changes(["epochs=1"]).run(encoder, colours, tmp_path / "run")
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_stopped_run_ends_as_an_unbroken_one(encoder, colours, tmp_path, monkeypatch):
    task = linear_pycontrast().with_changes(["epochs=4", "lr=3", "batch_size=6"])
    whole = task.run(encoder, colours, tmp_path / "whole")
    save = TrainingState.save_if_due

    def save_then_stop(state, rows):
        state.every_s = 0.0
        save(state, rows)
        if len(rows) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save_if_due", save_then_stop)
    setup = Setup(cache=tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        task.run(encoder, colours, tmp_path / "run", setup=setup)
    assert not (tmp_path / "run").exists()
    again = task.run(encoder, colours, tmp_path / "run", setup=setup)
    assert again.metrics == whole.metrics
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()


def test_damaged_state_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"state\.pt cannot be continued from"):
        train_epochs(lambda _: {"loss": 0.0}, 2, {"best": Best()}, state=tmp_path / "state.pt")


def test_a_loss_that_is_not_finite_stops_the_run():
    with pytest.raises(GoodviewsError, match="diverged; try a smaller learning rate"):
        train_epochs(lambda _: {"loss": math.nan}, 2, {})


def test_what_is_drawn_does_not_depend_on_workers(encoder, colours):
    paths = sorted((colours / "train").rglob("*.png"))
    change = crop_and_flip(encoder.preprocessing, scale=(0.2, 1.0))
    sources = [TrainingImages(paths, change, batch_size=7, seed=3, workers=workers) for workers in (0, 2)]
    for epoch in (0, 1):
        alone, shared = (list(source.epoch(epoch)) for source in sources)
        assert [len(images) for images, _ in alone] == [7, 7, 4]
        assert all(torch.equal(a, b) and torch.equal(p, q) for (a, p), (b, q) in zip(alone, shared))
    assert not torch.equal(next(sources[0].epoch(0))[1], next(sources[0].epoch(1))[1])


def test_crops_are_normalised_where_the_network_is_bit_for_bit_as_by_a_worker(encoder, photos):
    preprocessing = encoder.preprocessing
    crop = crop_and_flip(preprocessing, scale=(0.2, 1.0))
    in_worker = v2.Compose([*crop.transforms, *as_input(preprocessing.mean, preprocessing.std)[1:]])
    crops = []
    for transform in (crop, in_worker):
        torch.manual_seed(0)
        crops.append(torch.stack([transform(read_image(photo)) for photo in photos]))
    assert crops[0].dtype == torch.uint8
    assert torch.equal(normalised(crops[0], preprocessing, torch.device("cpu")), crops[1])


def test_unreadable_training_images_are_skipped_counted_and_listed(encoder, colours, tmp_path):
    (colours / "train" / "red" / "broken.jpg").write_bytes(b"not an image")
    (colours / "val" / "blue" / "0.png").write_bytes(b"")
    report = linear_pycontrast().with_changes(["epochs=1"]).run(encoder, colours, tmp_path / "run")
    assert (report.dataset["train_images"], report.dataset["test_images"]) == (18, 8)
    assert "train/red/broken.jpg" in (tmp_path / "run" / "skipped.txt").read_text()


def test_training_images_that_are_all_broken_are_refused(encoder, colours, tmp_path):
    for file in colours.glob("train/*/*"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="None of the 18 training images"):
        linear_pycontrast().run(encoder, colours, tmp_path / "run")


def test_another_batch_size_scales_the_rate():
    assert scale_to_batch(SgdProbe(), None) == scale_to_batch(SgdProbe(), 256) == {}
    assert scale_to_batch(SgdProbe(), 64) == {"batch_size": 64, "lr": 7.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [("speed=1", "SgdProbe has no field speed"), ("epochs=x", "a whole number"), ("features=all", "no field features")],
)
def test_settings_that_are_none_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        linear_pycontrast().with_changes([change])


@pytest.mark.slow
def test_processes_that_encode_together_give_the_result_of_one(encoder, colours, tmp_path):
    for part in ("train", "val"):
        sorted((colours / part / "red").iterdir())[0].write_bytes(b"no image")
    task = replace(linear_moco(), measure=replace(linear_moco().measure, epochs=2, lr=1.0))
    one, two = (
        task.run(encoder, colours, tmp_path / f"{setup.process_count}", setup=setup)
        for setup in (Setup(batch_size=5), Setup(batch_size=5, processes=2, workers=1))
    )
    assert two.protocol == one.protocol
    assert two.dataset == one.dataset
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("1", "2")
    ]
    assert len(rows[0]) == 2
    for alone, together in zip(*rows, strict=True):
        assert together == pytest.approx(alone, rel=1e-5)
    assert (tmp_path / "1" / "predictions.csv").read_text() == (tmp_path / "2" / "predictions.csv").read_text()
    assert (tmp_path / "1" / "skipped.txt").read_text() == (tmp_path / "2" / "skipped.txt").read_text()


def test_a_task_of_one_process_says_so(encoder, colours, tmp_path):
    with pytest.raises(UsageError, match="knn runs in one process; leave out --processes"):
        find_task("knn").run(encoder, colours, tmp_path / "run", setup=Setup(processes=2))
