"""The COCO tasks: what each fixes, its short budgets, and a whole run of one."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.backbone import build_backbone
from goodviews.hub.comparison.published import find_published
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.errors import DataError, MissingExtra
from goodviews.transfer.detection.coco import CocoDetection, c4, fpn, fpn_std
from goodviews.transfer.registry import TASKS, find_task
from goodviews.transfer.task import Setup

NAMES = [name for name in TASKS if name.startswith("coco-") and not name.endswith(("-tenth", "-smoke"))]
FULL_DATA = {"classes": 80, "train_images": 118287, "test_images": 5000}


def settings(name: str) -> CocoDetection:
    measure = find_task(name).measure
    assert isinstance(measure, CocoDetection)
    return measure


def test_the_schedules_are_the_published_ones():
    budgets = {name: (settings(name).iterations, settings(name).lr_steps) for name in NAMES}
    assert {budget for name, budget in budgets.items() if name.endswith("1x")} == {(90_000, (60_000, 80_000))}
    assert {budget for name, budget in budgets.items() if name.endswith("2x")} == {(180_000, (120_000, 160_000))}
    assert {budget for name, budget in budgets.items() if name.endswith("6x")} == {(540_000, (480_000, 520_000))}
    for one in map(settings, NAMES):
        assert (one.batch_size, one.lr, one.warmup_iterations, one.precise_bn_iterations) == (16, 0.02, 1000, 200)
        assert one.short_sides_px == (640, 672, 704, 736, 768, 800)
        assert one.masks


def test_the_three_detectors_differ_where_the_published_ones_do():
    assert (c4("1x").trunk, c4("1x").box_head, c4("1x").roi_px) == ("c4", "res5", 14)
    assert (c4("1x").proposals_before_nms, c4("1x").proposals) == ((12_000, 6_000), (2_000, 1_000))
    ours, standard = fpn("1x"), fpn_std("1x")
    assert (ours.trunk, ours.box_head, ours.head_norm, ours.roi_px) == ("fpn", "4conv1fc", True, 7)
    assert (ours.proposals_before_nms, ours.proposals, ours.mask_roi_px) == ((2_000, 1_000), (1_000, 1_000), 14)
    assert replace(ours, box_head="2fc", head_norm=False) == standard


@pytest.mark.parametrize("name", NAMES)
def test_a_short_budget_scales_the_schedule_and_cannot_be_mistaken_for_the_whole(name: str):
    whole, tenth, smoke = find_task(name), find_task(f"{name}-tenth"), find_task(f"{name}-smoke")
    assert (whole.name, tenth.name, smoke.name) == (name, f"{name}-tenth", f"{name}-smoke")
    full, part = whole.measure, tenth.measure
    assert (part.iterations, part.warmup_iterations) == (full.iterations // 10, 100)
    assert part.lr_steps == tuple(step // 10 for step in full.lr_steps)
    assert part.published() == smoke.measure.published() == full
    assert smoke.measure.iterations == full.iterations // 1500
    assert smoke.measure.lr_steps == tuple(round(step / 1500) for step in full.lr_steps)
    for short in (tenth, smoke):
        assert isinstance(find_published(short.protocol, FULL_DATA), str)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "coco-fpn-std-6x"])
def test_published_numbers_stand_beside_the_whole_task_on_all_of_coco_and_nowhere_else(name: str):
    task = find_task(name)
    table = find_published(task.protocol, FULL_DATA)
    assert not isinstance(table, str)
    assert table.metrics == ("AP", "mask_AP")
    assert isinstance(find_published(task.protocol, {**FULL_DATA, "train_images": 86}), str)


def test_a_run_leaves_box_and_mask_scores_and_results_that_other_evaluators_read(coco_folder: Path, tmp_path: Path):
    torch.manual_seed(0)
    encoder = Encoder(build_backbone("test_resnet"), Preprocessing(), Origin("random:test_resnet@0"))
    tiny = replace(
        settings("coco-fpn-std-1x-smoke"),
        iterations=2,
        lr_steps=(1,),
        batch_size=1,
        roi_samples=8,
        precise_bn_iterations=1,
        short_sides_px=(64,),
        test_short_side_px=64,
        min_score=0.0,
        detections_per_photo=5,
    )
    out = tmp_path / "run"
    task = replace(find_task("coco-fpn-std-1x-smoke"), measure=tiny)
    report = task.run(encoder, coco_folder, out, setup=Setup(engine="torchvision"))
    assert report.primary == "AP"
    assert {"AP", "AP50", "AP75", "APs", "APm", "mask_AP", "mask_AP50"} <= set(report.metrics)
    assert "APl" not in report.metrics  # no object is that large
    assert report.metrics["AP_low"] <= report.metrics["AP_high"]
    assert report.dataset["test_objects"] == 4
    told = report.description["differs_from_published"]
    assert "iterations 2, published 90000" in told
    assert "train_images 6, published 118287" in told
    entries = json.loads((out / "predictions.json").read_text())
    assert {entry["image_id"] for entry in entries} <= {1, 2, 3}
    assert {entry["category_id"] for entry in entries} <= {3, 7}
    assert all(entry["segmentation"]["size"] == [72, 96] for entry in entries)
    header = (out / "resamples.csv").read_text().splitlines()[0]
    assert header == "draw,AP,AP50,AP75,mask_AP,mask_AP50,mask_AP75"


def test_a_missing_evaluator_is_reported_before_any_training(
    coco_folder: Path, encoder: Encoder, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "goodviews.transfer.evaluation.coco")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingExtra, match=r"needs faster-coco-eval.*pip install .faster-coco-eval"):
        find_task("coco-fpn-1x").run(encoder, coco_folder, tmp_path / "run", setup=Setup(engine="torchvision"))
    assert not (tmp_path / "run").exists()


def test_masks_can_be_left_out_and_labels_without_them_then_do(coco_folder: Path, encoder: Encoder, tmp_path: Path):
    for path in (coco_folder / "annotations").iterdir():
        content = json.loads(path.read_text())
        for entry in content["annotations"]:
            del entry["segmentation"]
        path.write_text(json.dumps(content))
    task = find_task("coco-fpn-1x-smoke")
    with pytest.raises(DataError, match=r"no mask .* for 13 of its objects.*--set masks=false"):
        task.run(encoder, coco_folder, tmp_path / "run")
    without = task.with_changes(["masks=false"])
    assert without.name == "coco-fpn-1x-smoke [masks=false]"
    assert without.check(without.measure, coco_folder).problems == ()
