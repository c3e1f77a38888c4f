"""`goodviews transfer TASK --detector RUN`: a trained detector is scored again, and nothing is trained."""

import shutil
from pathlib import Path

import pytest

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.reports.report import load_report
from goodviews.transfer import commands

CHANGES = ["iterations=2", "lr_steps=1", "precise_bn_iterations=1", "short_sides_px=48", "test_short_side_px=48"]


@pytest.fixture
def run(devkit: Path, tmp_path: Path) -> Path:
    out, encoder = tmp_path / "run", "random:resnet18-w0.25-32px"
    commands.transfer("voc-detection-smoke", encoder=encoder, data=devkit, out=out, set=CHANGES, device="cpu")
    return out


def test_the_same_data_give_the_same_report_and_a_copy_of_the_test_photos_another_column(
    run: Path, devkit: Path, coco_folder: Path, tmp_path: Path
):
    commands.transfer("voc-detection-smoke", detector=run, data=devkit, out=tmp_path / "again", device="cpu")
    first, again = (load_report(folder / "report.json") for folder in (run, tmp_path / "again"))
    assert (again.metrics, again.column, again.encoder) == (first.metrics, first.column, first.encoder)
    assert "nothing was trained" in again.description["evaluation"]
    assert not (tmp_path / "again" / "detector.json").exists()

    other = shutil.copytree(devkit, tmp_path / "other")
    (other / "VOC2007" / "ImageSets" / "Main" / "test.txt").write_text("test0\n")
    commands.transfer("voc-detection-smoke", detector=run, data=other, out=tmp_path / "elsewhere", device="cpu")
    elsewhere = load_report(tmp_path / "elsewhere" / "report.json")
    assert elsewhere.dataset["test_images"] == 1
    assert elsewhere.dataset["trained_on"] == f"squares {first.dataset['digest']}"
    assert elsewhere.column != first.column

    commands.transfer("coco-c4-1x-smoke", detector=run, data=coco_folder, out=tmp_path / "as coco", device="cpu")
    coco = load_report(tmp_path / "as coco" / "report.json")
    assert coco.task == f"coco-c4-1x-smoke [detector of {first.task}]"
    assert "mask_AP" not in coco.metrics


def test_what_cannot_be_scored_is_refused_in_a_sentence(run: Path, devkit: Path, colours: Path, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="knn trains no detector; give --encoder"):
        commands.transfer("knn", detector=run, data=colours, out=out)
    with pytest.raises(UsageError, match="leave out --encoder, --set, --resume and --values"):
        commands.transfer("voc-detection-smoke", detector=run, encoder="random:resnet18", data=devkit, out=out)
    with pytest.raises(DataError, match=r"has no report\.json; give the folder of a finished"):
        commands.transfer("voc-detection-smoke", detector=devkit, data=devkit, out=out)
    for annotation in (devkit / "VOC2007" / "Annotations").iterdir():
        annotation.write_text(annotation.read_text().replace("red", "rot").replace("blue", "blau"))
    with pytest.raises(DataError, match=r"The detector finds blue, red; .* has blau, rot, and no class is in both"):
        commands.transfer("voc-detection-smoke", detector=run, data=devkit, out=out)
    assert not out.exists()
