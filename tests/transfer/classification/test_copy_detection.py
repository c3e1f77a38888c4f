import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from goodviews.hub import DataError
from goodviews.transfer.classification.copy_detection import read_copies, retrieval_copies
from goodviews.transfer.classification.retrieval import retrieval
from goodviews.transfer.registry import find_task
from goodviews.transfer.task import Setup


@pytest.fixture
def copies(tmp_path: Path, gallery: list[Path]) -> Path:
    """Six photos, and of each a soft copy and a brighter one."""
    root = tmp_path / "copies"
    for name in ("gallery", "queries"):
        (root / name).mkdir(parents=True)
    lines = ["query,target,change"]
    for number, path in enumerate(gallery[:6]):
        shutil.copy(path, root / "gallery" / f"{number}.jpg")
        with Image.open(path) as photo:
            photo.filter(ImageFilter.GaussianBlur(1)).save(root / "queries" / f"{number}_soft.jpg")
            photo.point(lambda value: min(255, value + 15)).save(root / "queries" / f"{number}_bright.jpg")
        for change in ("soft", "bright"):
            lines.append(f"queries/{number}_{change}.jpg,gallery/{number}.jpg,{change}")
    (root / "queries.csv").write_text("\n".join(lines) + "\n")
    return root


def test_copies_are_found_and_counted_by_change(spread_encoder, copies: Path, tmp_path: Path):
    report = find_task("retrieval-copies").run(spread_encoder, copies, tmp_path / "run")
    metrics = report.metrics
    assert metrics["recall_at_1"] > 60
    assert metrics["recall_at_1_low"] < metrics["recall_at_1"] <= metrics["recall_at_1_high"]
    assert metrics["recall_at_10"] == 100  # of six
    assert metrics["recall_at_1"] <= metrics["mAP"] <= 100
    assert 0 < metrics["micro_AP"] <= 100
    by_change = report.details["recall_at_1_of_change"]
    assert np.mean(list(by_change.values())) == pytest.approx(metrics["recall_at_1"])
    assert (report.dataset["test_images"], report.dataset["gallery_images"]) == (12, 6)
    assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) == 13


def test_an_encoder_that_gives_all_photos_one_vector_finds_no_copy(spread_encoder, copies: Path, tmp_path, monkeypatch):
    same = np.eye(1, 512, dtype=np.float32)
    monkeypatch.setattr(type(spread_encoder), "encode", lambda self, images, **_: np.repeat(same, len(images), axis=0))
    measured = retrieval_copies().measure(spread_encoder, copies, tmp_path, Setup())
    assert measured.metrics["recall_at_1"] == 0
    assert measured.metrics["mAP"] == pytest.approx(100 / 6)


def test_originals_and_copies_that_are_not_there_are_named(copies: Path):
    table = copies / "queries.csv"
    whole = table.read_text()
    table.write_text(whole.replace("gallery/3.jpg", "gallery/33.jpg"))
    with pytest.raises(DataError, match=r"names gallery/33\.jpg as an original"):
        read_copies(copies)
    table.write_text(whole)
    (copies / "queries" / "2_soft.jpg").unlink()
    with pytest.raises(DataError, match=r"names queries/2_soft\.jpg, which is not in"):
        read_copies(copies)
    table.unlink()
    with pytest.raises(DataError, match="no table of queries"):
        read_copies(copies)


def test_the_class_task_counts_queries_that_find_their_class_among_the_first(encoder, colours, tmp_path):
    metrics = retrieval().run(encoder, colours, tmp_path / "run").metrics
    assert metrics["precision_at_1"] == metrics["recall_at_1"]
    assert metrics["precision_at_10"] <= metrics["recall_at_10"] == 100
