import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import ArtifactError, DataError
from goodviews.hub.flow import Flow, FlowPlan, load_generator, save_generator
from goodviews.pretrain.analysis.learn import (
    Game,
    LearnedSplit,
    learn_views,
)
from goodviews.pretrain.analysis.learn_run import learn
from goodviews.pretrain.analysis.photo_arrays import PhotoSet
from goodviews.pretrain.analysis.trainer import Diverged, Training, train_pair

GAME = Game("semi-supervised", steps=2, px=12, batch_size=16, labelled=8, width=4, dim=8)


@pytest.mark.parametrize("coupling", ["additive", "affine"])
@pytest.mark.parametrize("mode", ["unsupervised", "semi-supervised"])
def test_a_game_of_two_steps_moves_the_generator_and_it_can_still_be_undone(split, mode, coupling):
    steps = []
    plan = FlowPlan(coupling, "YDbDr")
    flow = learn_views(split.train, plan, replace(GAME, mode=mode), classes=2, observe=steps.append)
    assert [step.step for step in steps] == [0, 1]
    assert (steps[0].classify > 0) == (mode == "semi-supervised")
    images = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        assert float((flow.inverse(flow(images)) - images).abs().max()) < 1e-4
        assert not torch.allclose(flow(images), Flow(plan)(images), atol=1e-6)


def test_encoders_learn_from_the_parts_of_a_saved_generator(split, tmp_path: Path):
    flow = learn_views(split.train, FlowPlan(), GAME, classes=2)
    save_generator(flow, tmp_path)
    again = load_generator(tmp_path)
    images = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(again(images), flow(images))
    training = Training(steps=2, batch_size=12, width=4, dim=8)
    trained = train_pair(LearnedSplit(again, 12), split.train, training, seed=0)
    assert trained.loss > 0
    (tmp_path / "generator.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtifactError, match="holds no whole generator"):
        load_generator(tmp_path)


def test_semi_supervised_views_need_labels_of_two_classes(split):
    with pytest.raises(DataError, match="these photos have none"):
        learn_views(PhotoSet(split.train.images, {}), FlowPlan(), GAME)
    one = PhotoSet(split.train.images, {"class": torch.zeros(len(split.train), dtype=torch.long)})
    with pytest.raises(DataError, match="two classes or more"):
        learn_views(one, FlowPlan(), GAME, classes=1)


def test_a_generator_that_runs_away_or_becomes_nan_is_stopped_with_a_sentence(split):
    with pytest.raises(Diverged, match=r"reached .* it diverges"):
        learn_views(split.train, FlowPlan(), replace(GAME, steps=20, generator_lr=1e3), classes=2)
    with pytest.raises(Diverged, match="became nan"):
        learn_views(split.train, FlowPlan(), replace(GAME, temperature=float("nan")), classes=2)


def test_the_command_leaves_generator_pictures_and_report(folder: Path, tmp_path: Path):
    out = tmp_path / "run"
    report = learn(str(folder), out, plan=FlowPlan(), mode="unsupervised", epochs=1, px=16, seeds=1, precision="fp32")
    assert [point["name"].partition(":")[0] for point in report["points"]] == ["raw", "learned from RGB"]
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    assert json.loads((out / "generator.json").read_text())["coupling"] == "additive"
    for name in ("views.png", "report.html", "report.json", "generator.safetensors"):
        assert (out / name).stat().st_size > 0
