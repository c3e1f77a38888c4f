import pytest

from goodviews.hub.errors import DataError
from goodviews.transfer.classification.retrieval import retrieval


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
