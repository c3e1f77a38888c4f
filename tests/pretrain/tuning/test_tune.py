import json
import shutil
from pathlib import Path

import pytest
import torch

from goodviews.hub.cli import run
from goodviews.hub.errors import UsageError
from goodviews.pretrain.analysis.lab_options import TuneOptions
from goodviews.pretrain.analysis.photo_arrays import PhotoSet
from goodviews.pretrain.analysis.point_results import turn
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.tuning import recommendation
from goodviews.pretrain.tuning.criteria import BY_LABELS, BY_ROTATION, Record
from goodviews.pretrain.tuning.recommendation import recommend
from goodviews.pretrain.tuning.strengths import DEFAULT, LEVELS, Strengths, changed, program_of
from goodviews.pretrain.tuning.tune import tune


def report_with(criterion: str, better: dict[str, float], half: float = 1.0) -> dict:
    def point(name: str) -> dict:
        top1 = 50.0 + better.get(name, 0.0)
        return {"name": name, "scores": {criterion: {"top1": top1, "low": top1 - half, "high": top1 + half}}}

    return {"points": [point("default"), *(point(name) for name, _ in changed())]}


def test_the_default_is_a_level_of_every_knob_and_each_other_level_is_tried_once():
    assert all(getattr(DEFAULT, knob) in levels for knob, levels in LEVELS.items())
    assert len({name for name, _ in changed()}) == sum(len(levels) - 1 for levels in LEVELS.values())


def test_a_level_that_is_surely_better_by_labels_is_recommended_and_no_other():
    found = recommend(report_with(BY_LABELS, {"colour 0.25": 9.0, "blur 2": 0.5}))
    assert found.strengths == Strengths(colour=0.25)
    assert "recommended" in found.sentences()[1]
    assert "not sure enough" in found.sentences()[2]


def test_without_labels_the_default_is_recommended_and_the_page_says_why():
    found = recommend(report_with(BY_ROTATION, {"colour 0.25": 9.0}))
    assert found.is_default
    assert "On 4 sets with labels the criterion without labels came within one step" in found.sentences()[-2]
    assert found.sentences()[-1].startswith("So the default is recommended")


def test_a_criterion_that_beats_the_default_and_a_random_choice_decides(monkeypatch):
    near = {"rotation": 14.0, "default": 12.0, "random": 8.0}
    monkeypatch.setattr(recommendation, "shipped", lambda: tuple(Record(way, n, 16, 0.0) for way, n in near.items()))
    assert recommend(report_with(BY_ROTATION, {"colour 0.25": 9.0})).strengths == Strengths(colour=0.25)


def test_strength_zero_leaves_an_operation_out():
    names = [type(step).__name__ for step in program_of(Strengths(colour=0, blur=0, rand_augment=1), 32)]
    assert names == ["Flip", "RandAugment"]


def test_a_photo_is_turned_by_its_label():
    images = torch.arange(4 * 3 * 5 * 5, dtype=torch.uint8).reshape(4, 3, 5, 5)
    turned = turn(PhotoSet(images, {}))
    assert turned.labels["rotation"][:5].tolist() == [0, 1, 2, 3]
    assert (turned.images[3] == images[3].rot90(3, dims=(1, 2))).all()


@pytest.mark.precision
@pytest.mark.slow
def test_unlabelled_photos_become_a_page_and_a_recipe_that_loads(folder: Path, tmp_path: Path, capsys):
    flat, out = tmp_path / "flat", tmp_path / "run"
    flat.mkdir()
    for path in folder.rglob("*.png"):
        shutil.copyfile(path, flat / path.name)
    run(["views", "tune", "--data", str(flat), "--out", str(out), "--steps", "1", "--seeds", "1", "--px", "16"])
    assert "There are no labels" in capsys.readouterr().out
    recipe = choose(f"{out / 'tuned.py'}:tuned")
    assert recipe.views[0].crop.scale == (0.2, 1.0)
    assert [type(step).__name__ for step in recipe.views[0].program][-1] == "Normalize"
    assert json.loads((out / "tune.json").read_text())["criterion"] == BY_ROTATION
    assert "default views" in (out / "tune.html").read_text()


def test_numbers_out_of_range_are_refused_before_anything_is_written(folder: Path, tmp_path: Path):
    for wrong, message in (({"processes": 0}, "--processes 0 is too few"), ({"px": 4}, "--px 4 is out of range")):
        with pytest.raises(UsageError, match=message):
            tune(str(folder), tmp_path / "run", TuneOptions(steps=2, **wrong))
    assert not (tmp_path / "run").exists()


def test_a_budget_that_is_refused_leaves_no_folder(folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="more than the budget"):
        tune(str(folder), tmp_path / "run", TuneOptions(budget="0.01s", px=16), precision="fp32")
    assert not (tmp_path / "run").exists()
