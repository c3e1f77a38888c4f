"""Networks that recipes are not made for: tried before a run, refused in a sentence."""

from dataclasses import replace

import pytest
import torch

from goodviews.hub.artifact import check, load, save
from goodviews.hub.backbone import build_backbone, features_of
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.errors import UsageError
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop, rehearsal
from goodviews.pretrain.training.rehearsal import rehearse


def recipe_of(architecture: str, px: int) -> Recipe:
    recipe = choose("moco_v2_smoke")
    views = tuple(replace(view, crop=replace(view.crop, px=px)) for view in recipe.views)
    return replace(recipe, architecture=architecture, views=views)


def test_a_vision_transformer_that_was_trained_can_be_loaded(images, tmp_path):
    """Its features are those of a token, which a folder that says "avg" could not bring back."""
    folder = loop.pretrain(recipe_of("test_vit", 160), images, tmp_path / "run", Options(precision="fp32"))
    assert check(folder) == []
    assert load(folder).encode([torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()]).shape == (1, 64)


@pytest.mark.parametrize(
    ("architecture", "px", "sentence"),
    [
        (
            "deit_tiny_patch16_224",
            48,
            r"deit_tiny_patch16_224, view query of 48 px: the network cannot take it \(.*224.*\); give all",
        ),
        ("densenet121", 16, r"densenet121, view query of 16 px: the network cannot take it"),
        ("no_such_network", 32, r"timm has no model called no_such_network"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(architecture, px, sentence, images, tmp_path):
    with pytest.raises(UsageError, match=sentence) as refused:
        loop.pretrain(recipe_of(architecture, px), images, tmp_path / "run", Options(precision="fp32"))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_network_that_would_not_come_back_is_refused(monkeypatch):
    monkeypatch.setattr(rehearsal, "check", lambda folder: ["The test image embeds elsewhere."])
    with pytest.raises(UsageError, match=r"test_vit does not come back .* \(The test image embeds elsewhere\.\)"):
        rehearse(recipe_of("test_vit", 160))


def test_a_network_that_gives_something_else_than_features_is_refused(monkeypatch):
    def dense(*args, **options):
        backbone = build_backbone(*args, **options)
        backbone.forward = backbone.forward_features
        return backbone

    monkeypatch.setattr(rehearsal, "build_backbone", dense)
    with pytest.raises(UsageError, match=r"gives a tensor \(2, 101, 64\), not features \(2, 64\)"):
        rehearse(recipe_of("test_vit", 160))


def test_a_network_with_infinite_bounds_is_refused_for_them_and_not_for_its_training(monkeypatch):
    """timm's gemma4_vit clamps by tensors that start at infinity."""

    def bounded(*args, **options):
        backbone = build_backbone(*args, **options)
        backbone.register_buffer("input_max", torch.tensor(float("inf")))
        return backbone

    monkeypatch.setattr(rehearsal, "build_backbone", bounded)
    with pytest.raises(UsageError, match="test_vit holds NaN or infinity in tensor input_max before any training"):
        rehearse(recipe_of("test_vit", 160))


def test_a_rehearsal_draws_nothing_from_the_run(monkeypatch):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    rehearse(recipe_of("test_vit", 160))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_input_that_is_not_rgb_is_refused():
    with pytest.raises(UsageError, match="other channels than R, G and B"):
        Encoder(build_backbone("resnet18", in_chans=1), Preprocessing(32), Origin("grey"))


def test_features_are_counted_after_the_last_layer():
    backbone = build_backbone("mobilenetv3_small_050").eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, features_of(backbone))
    assert features_of(backbone) != backbone.num_features


def test_weights_that_a_network_uses_twice_are_written_under_both_names(tmp_path):
    backbone = build_backbone("test_resnet")
    backbone.layer1[0].bn2 = backbone.layer1[0].bn1
    folder = save(Encoder(backbone, Preprocessing(32), Origin("shared")), tmp_path / "encoder")
    assert check(folder) == []
