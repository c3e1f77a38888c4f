"""CMC on learned views: what is published of it holds the generator, and sees what the training saw."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.artifact import check, load
from goodviews.hub.errors import ArtifactError, UsageError
from goodviews.hub.flow import Flow, FlowPlan, save_generator
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.build import build_trained_network


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    flow = Flow(FlowPlan("affine", "YDbDr", blocks=3, hidden=4))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    folder = tmp_path / "views"
    folder.mkdir()
    save_generator(flow, folder)
    return folder


def test_both_encoders_take_rgb_and_carry_the_generator_that_does_not_learn(generator, images, tmp_path):
    small = replace(choose("cmc_learned_smoke"), width=0.25)
    recipe = replace(small, objective=replace(small.objective, generator=str(generator)))
    runs, save = [], loop._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_save", lambda run: (runs.append(run), save(run)))
        loop.pretrain(recipe, images, tmp_path / "run", Options(knn_every=0, precision="fp32"))
    network = runs[-1].state.network.eval()
    batch = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        channels = network.channels(batch)
    for name, branch, part in (("encoder", network.backbone, [0]), ("encoder_chroma", network.chroma, [1, 2])):
        encoder = load(tmp_path / "run" / name)
        assert check(tmp_path / "run" / name) == []
        assert encoder.architecture == "resnet18_learned"
        assert encoder.model_args["coupling"] == "affine"
        with torch.no_grad():
            torch.testing.assert_close(encoder(batch), branch(channels[:, part]), rtol=1e-3, atol=1e-4)
        kept = encoder.backbone.conv1.flow.state_dict()
        for key, tensor in network.generator.state_dict().items():
            torch.testing.assert_close(kept[key], tensor, rtol=0, atol=0)
    torch.manual_seed(0)


def test_without_a_generator_one_seed_gives_one_network():
    recipe = replace(choose("cmc_learned_smoke"), width=0.25)
    one, other = (build_trained_network(recipe, 0, torch.device("cpu")).state_dict() for _ in range(2))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_a_generator_that_is_not_there_and_a_network_without_the_stem_are_refused(images, tmp_path):
    small = choose("cmc_learned_smoke")
    absent = replace(small, objective=replace(small.objective, generator=str(tmp_path / "none")))
    with pytest.raises(ArtifactError, match="holds no whole generator"):
        loop.pretrain(absent, images, tmp_path / "run", Options(precision="fp32"))
    with pytest.raises(UsageError, match="trains resnet18 or resnet50; resnet34 has no learned stem"):
        loop.pretrain(replace(small, architecture="resnet34"), images, tmp_path / "run", Options(precision="fp32"))
    assert not (tmp_path / "run").exists()
