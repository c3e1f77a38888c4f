import shutil
from pathlib import Path

import pytest

from goodviews.hub.cli import run
from goodviews.hub.errors import UsageError
from goodviews.pretrain.analysis.lab_options import MeasureOptions
from goodviews.pretrain.analysis.measure import measure_recipe, operations_of, taken_by, views_of, without
from goodviews.pretrain.recipes.registry import choose


def test_the_views_of_a_recipe_are_those_it_contrasts():
    pairs = views_of(choose("infomin_200"), 32)
    assert [view.name for view in pairs.views] == ["query", "key"]  # not the jigsaw
    assert operations_of(pairs) == ["crop", "Flip", "ColorJitter", "GaussianBlur", "RandAugment", "Grayscale"]
    blurs = [step for step in pairs.views[0].program if type(step).__name__ == "GaussianBlur"]
    assert blurs[0].sigma[1] == pytest.approx(2 * 32 / 224)
    assert views_of(choose("cmc_200"), 32).space == "YDbDr"
    with pytest.raises(UsageError, match="supervised_90 has one view"):
        views_of(choose("supervised_90"), 32)


def test_leaving_one_out_leaves_the_others():
    pairs = views_of(choose("moco_v2_200"), 32)
    left = without(pairs, "ColorJitter")
    assert operations_of(left) == [name for name in operations_of(pairs) if name != "ColorJitter"]
    assert without(pairs, "crop").views[0].crop.share == 1.0


@pytest.mark.precision
def test_small_networks_and_an_encoder_measure_photos_without_labels(folder: Path, tmp_path: Path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in folder.rglob("*.png"):
        shutil.copyfile(path, flat / path.name)
    options = MeasureOptions(steps=2, seeds=1, px=16)
    report, taken = measure_recipe("moco_v1_200", str(flat), tmp_path / "run", options, precision="fp32")
    assert {one.operation for one in taken} == {"crop", "Grayscale", "ColorJitter", "Flip"}
    assert (tmp_path / "run" / "report.html").is_file()
    assert report["points"][0]["information"]["ceiling"] > report["points"][0]["information"]["nats"]
    encoder = "random:resnet18-w0.25-32px"
    run(["views", "measure", "moco_v1_200", "--data", str(flat), "--encoder", encoder, "--seeds", "1"])
    said = capsys.readouterr().out
    assert "share at least" in said
    assert "takes away" in said


def test_what_is_taken_away_is_the_difference_with_both_doubts():
    information = [{"nats": 1.0, "low": 0.7, "high": 1.3}, {"nats": 3.0, "low": 2.6, "high": 3.4}]
    points = [{"name": name, "information": one} for name, one in zip(("all", "without crop"), information)]
    (crop,) = taken_by({"points": points})
    assert (crop.operation, crop.nats) == ("crop", 2.0)
    assert crop.high - crop.nats == pytest.approx(0.5)


def test_numbers_out_of_range_are_refused_before_anything_is_written(folder: Path, tmp_path: Path):
    for wrong, message in (({"seeds": 0}, "--seeds 0 is too few"), ({"px": 4}, "--px 4 is out of range")):
        with pytest.raises(UsageError, match=message):
            measure_recipe("moco_v1_200", str(folder), tmp_path / "run", MeasureOptions(steps=2, **wrong))
    assert not (tmp_path / "run").exists()


def test_a_budget_that_is_refused_leaves_no_folder(folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="more than the budget"):
        measure_recipe(
            "moco_v1_200", str(folder), tmp_path / "run", MeasureOptions(budget="0.01s", px=16), precision="fp32"
        )
    assert not (tmp_path / "run").exists()
