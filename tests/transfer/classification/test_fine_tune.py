import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.sources.folders import train_and_test
from goodviews.transfer.classification.fine_tune import finetune, finetune_1pct, finetune_10pct
from goodviews.transfer.classification.labelled_part import draw_part, read_part
from goodviews.transfer.task import Setup
from goodviews.transfer.training_state import TrainingState

FEW = ["epochs=2", "batch_size=6", "lr=0.01", "layer_lr=0.1"]


def test_published_settings_are_the_published_ones():
    one, ten = finetune_1pct().measure, finetune_10pct().measure
    assert [(s.share, s.lr, s.layer_lr) for s in (one, ten)] == [(0.01, 0.02, 5.0), (0.1, 0.01, 0.2)]
    assert all((s.epochs, s.batch_size, s.weight_decay, s.nesterov) == (20, 256, 0, False) for s in (one, ten))
    rates = [one.schedule(one.lr, epoch=epoch, share=0, epochs=20) for epoch in (0, 11, 12, 16)]
    assert rates == pytest.approx([0.02, 0.02, 0.004, 0.0008])


def test_colours_are_learned_on_all_labels_and_the_encoder_stays(encoder, colours, tmp_path):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    report = finetune().with_changes(["epochs=5"]).run(encoder, colours, tmp_path / "run", setup=Setup(batch_size=6))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert report.metrics["top1"] > 50
    assert report.protocol.settings["labelled"] == "all"
    assert report.dataset["train_images"] == 18
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not encoder.training


def test_a_part_is_drawn_from_each_class_by_the_seed(colours):
    train, _ = train_and_test(colours)
    third, other = draw_part(train, 1 / 3, 0), draw_part(train, 1 / 3, 1)
    assert sorted(third.images.labels) == [0, 0, 1, 1, 2, 2]
    assert third.images.all_paths() == draw_part(train, 1 / 3, 0).images.all_paths() != other.images.all_paths()
    assert sorted(draw_part(train, 0.01, 0).images.labels) == [0, 1, 2]
    drawn = zip(third.images.all_paths(), third.images.labels)
    assert all(train.classes[label] == path.parent.name for path, label in drawn)
    assert "not published" in third.description


def test_a_list_chooses_its_images_and_is_named_in_the_protocol(encoder, colours, tmp_path):
    rename(colours)
    (tmp_path / "1percent.txt").write_text("red_0.png\nblue_3.png\ngreen_1.png\n")
    report = (
        finetune_1pct()
        .with_changes([*FEW, f"labelled={tmp_path / '1percent.txt'}"])
        .run(encoder, colours, tmp_path / "run")
    )
    assert (tmp_path / "run" / "labelled.txt").read_text().split() == [
        "train/blue/blue_3.png",
        "train/green/green_1.png",
        "train/red/red_0.png",
    ]
    assert report.dataset["train_images"] == 3
    digest = report.protocol.settings["labelled"]
    assert report.description["labelled"] == f"the list 1percent.txt, sha256 {digest}"
    assert str(tmp_path) not in json.dumps([asdict(report.protocol), report.description])


def test_seeds_that_draw_other_parts_keep_one_protocol(encoder, colours, tmp_path):
    task = finetune_10pct().with_changes(["epochs=1"])
    runs = [task.run(encoder, colours, tmp_path / str(seed), setup=Setup(seed=seed)) for seed in (0, 1)]
    assert runs[0].protocol == runs[1].protocol
    assert runs[0].description["labelled"] == "10 % of each class, drawn by the seed (not published)"


def test_another_batch_size_scales_both_rates(encoder, colours, tmp_path):
    report = (
        finetune_1pct().with_changes(["epochs=1"]).run(encoder, colours, tmp_path / "run", setup=Setup(batch_size=64))
    )
    assert [report.protocol.settings[name] for name in ("batch_size", "lr", "layer_lr")] == [64, 0.005, 1.25]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("n01440764_1.JPEG\nred_0.png\n", "names 2 images, and 1 of them are not in .*train, e.g. n01440764_1.JPEG"),
        ("\n", "is empty"),
        (b"\xff\xfe\x00", "not a readable text file"),
        (None, "not a readable text file"),
    ],
    ids=["other names", "empty", "no text", "missing"],
)
def test_a_list_that_does_not_fit_is_refused(content, message, colours, tmp_path):
    rename(colours)
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_part(train_and_test(colours)[0], tmp_path / "list.txt")


def test_a_share_that_is_none_is_refused(encoder, colours, tmp_path):
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        finetune_10pct().with_changes(["share=10"]).run(encoder, colours, tmp_path / "run")


@pytest.mark.slow
def test_two_processes_train_what_one_trains_and_go_on_bit_for_bit(encoder, colours, tmp_path, monkeypatch):
    (colours / "train" / "red" / "0.png").write_bytes(b"no image")
    task = finetune().with_changes(["epochs=2", "batch_size=6", "lr=0.0001", "layer_lr=0.001"])

    def run(name, **options):
        report = task.run(encoder, colours, tmp_path / name, setup=Setup(**options))
        return report, (tmp_path / name / "metrics.jsonl").read_text(), tmp_path / name / "classifier"

    alone, rows, classifier = run("alone")
    whole, shared_rows, shared_classifier = run("whole", processes=2)
    assert whole.protocol == alone.protocol
    assert whole.dataset == alone.dataset
    assert whole.description["batch_norm"] == "training mode, synchronised over 2 processes"
    for one, both in zip(rows.splitlines(), shared_rows.splitlines(), strict=True):
        assert json.loads(both) == pytest.approx(json.loads(one), rel=1e-3)
    weights, shared = (load_file(folder / "model.safetensors") for folder in (classifier, shared_classifier))
    for name, weight in weights.items():
        torch.testing.assert_close(shared[name], weight, rtol=1e-2, atol=1e-3)

    def stop(state, rows):
        state.save(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingState, "save_if_due", stop)
        run("stopped", processes=2, cache=tmp_path / "cache")
    again, rows, classifier = run("stopped", processes=2, cache=tmp_path / "cache")
    assert again.metrics == whole.metrics
    assert rows == shared_rows
    files = [folder / "model.safetensors" for folder in (classifier, shared_classifier)]
    assert files[0].read_bytes() == files[1].read_bytes()


def rename(colours):
    for path in sorted(colours.glob("train/*/*.png")):
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
