import csv
import json
import shutil
from dataclasses import asdict, replace

import pytest

from goodviews.hub.encoder import Encoder
from goodviews.hub.errors import DataError, OutputExists
from goodviews.hub.reports.report import load_report
from goodviews.hub.sources.files import Files
from goodviews.transfer.classification.knn import NearestNeighbours, knn
from goodviews.transfer.classification.linear import linear
from goodviews.transfer.data_digest import digest_of
from goodviews.transfer.task import Setup


@pytest.mark.parametrize("task", [knn(), linear()], ids=lambda task: task.name)
def test_colours_are_distinguished_and_the_report_says_how(task, encoder, colours, tmp_path):
    report = task.run(encoder, colours, tmp_path / "run")
    assert load_report(tmp_path / "run" / "report.json").metrics == report.metrics
    assert report.metrics["top1"] == 100.0
    assert report.metrics["top1_low"] < 100.0
    assert report.dataset["train_images"] == 18
    assert report.dataset["test_images"] == 9
    assert report.description["metric"] == "top-1 accuracy, %"
    with (tmp_path / "run" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"path": "val/blue/0.png", "label": "blue", "predicted": "blue"}
    assert len(rows) == 9
    assert (tmp_path / "run" / "confusion.png").is_file()
    assert not (tmp_path / "run" / "skipped.txt").exists()


def test_unreadable_images_are_skipped_counted_and_listed(encoder, colours, tmp_path):
    (colours / "train" / "red" / "broken.jpg").write_bytes(b"not an image")
    (colours / "val" / "blue" / "0.png").write_bytes(b"")
    report = knn().run(encoder, colours, tmp_path / "run")
    assert report.dataset["skipped_images"] == 2
    assert report.dataset["train_images"] == 18
    assert report.dataset["test_images"] == 8
    listed = (tmp_path / "run" / "skipped.txt").read_text()
    assert "train/red/broken.jpg" in listed
    assert "val/blue/0.png" in listed
    assert report.metrics["top1"] == 100.0  # labels still belong to their images


def test_fewer_images_than_neighbours_make_another_protocol(encoder, colours, tmp_path):
    assert knn().run(encoder, colours, tmp_path / "few").protocol.settings["k"] == 18
    task = replace(knn(), measure=NearestNeighbours(k=5))
    assert task.run(encoder, colours, tmp_path / "enough").protocol.settings["k"] == 5


def test_cached_features_give_the_same_report_without_the_network(encoder, colours, tmp_path, monkeypatch):
    (colours / "train" / "red" / "broken.jpg").write_bytes(b"not an image")
    setup = Setup(cache=tmp_path / "cache")
    first = knn().run(encoder, colours, tmp_path / "first", setup=setup)
    monkeypatch.setattr(Encoder, "encode", lambda *_args, **_options: pytest.fail("the features are in the cache"))
    second = knn().run(encoder, colours, tmp_path / "second", setup=setup)
    assert second.metrics == first.metrics
    assert second.dataset == first.dataset
    assert (tmp_path / "second" / "skipped.txt").read_text() == (tmp_path / "first" / "skipped.txt").read_text()


def test_files_are_listed_as_often_for_many_photos_as_for_few(encoder, colours, tmp_path, monkeypatch):
    """Each list of a million paths takes seconds; one a photo would take for ever."""
    lists = []
    listed = Files.all_paths
    monkeypatch.setattr(Files, "all_paths", lambda files: lists.append(1) or listed(files))
    knn().run(encoder, colours, tmp_path / "few")
    few = len(lists)
    for photo in sorted(colours.glob("*/*/*.png")):
        shutil.copy(photo, photo.with_name(f"again-{photo.name}"))
    lists.clear()
    knn().run(encoder, colours, tmp_path / "many")
    assert len(lists) == few


def test_cache_knows_another_encoder(encoder, colours, tmp_path):
    setup = Setup(cache=tmp_path / "cache")
    knn().run(encoder, colours, tmp_path / "first", setup=setup)
    wider = Encoder(encoder.backbone, replace(encoder.preprocessing, input_px=48), encoder.origin)
    knn().run(wider, colours, tmp_path / "second", setup=setup)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 4


def test_seed_does_not_move_knn(encoder, colours, tmp_path):
    runs = [knn().run(encoder, colours, tmp_path / str(seed), setup=Setup(seed=seed)) for seed in (0, 1)]
    assert runs[0].metrics == runs[1].metrics
    assert [run.seed for run in runs] == [0, 1]


def test_protocol_is_json_and_changes_with_every_setting():
    plain, other = knn().protocol, replace(knn(), measure=NearestNeighbours(temperature=0.1)).protocol
    assert json.loads(json.dumps(asdict(plain)))["settings"]["temperature"] == 0.07
    assert plain != other


def test_digest_names_the_files_not_their_place(colours, tmp_path):
    files = sorted(colours.rglob("*.png"))
    moved = shutil.copytree(colours, tmp_path / "moved")
    assert digest_of(colours, files) == digest_of(moved, sorted(moved.rglob("*.png"))[::-1])
    files[0].write_bytes(b"other")
    assert digest_of(colours, files) != digest_of(moved, sorted(moved.rglob("*.png")))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: shutil.rmtree(root), "is not a folder"),
        (lambda root: shutil.rmtree(root / "val"), "must hold train/<class>/"),
        (lambda root: (root / "val" / "red").rename(root / "val" / "pink"), "has the class pink"),
        (lambda root: [shutil.rmtree(root / p / c) for p in ("train", "val") for c in ("red", "blue")], "one class"),
        (
            lambda root: [f.rename(root / "train" / f"{f.parent.name}{f.name}") for f in root.glob("train/*/*")],
            "outside",
        ),
        (lambda root: [f.write_bytes(b"") for f in root.glob("val/*/*")], "none can be read"),
    ],
    ids=["missing", "no val", "unknown class", "one class", "flat", "all broken"],
)
def test_bad_data_is_refused_and_nothing_is_written(spoil, message, encoder, colours, tmp_path):
    spoil(colours)
    with pytest.raises(DataError, match=message):
        knn().run(encoder, colours, tmp_path / "out" / "run")
    assert not list((tmp_path / "out").iterdir())


def test_existing_output_is_kept_without_overwrite(encoder, colours, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    with pytest.raises(OutputExists):
        knn().run(encoder, colours, tmp_path / "run")
    with pytest.raises(OutputExists, match="was not written by this command"):
        knn().run(encoder, colours, tmp_path / "run", overwrite=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]
    knn().run(encoder, colours, tmp_path / "earlier")
    (tmp_path / "earlier" / "old.txt").write_text("of the earlier run")
    knn().run(encoder, colours, tmp_path / "earlier", overwrite=True)
    assert (tmp_path / "earlier" / "report.json").is_file()
    assert not (tmp_path / "earlier" / "old.txt").exists()
