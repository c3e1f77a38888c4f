"""recipe.json and checkpoint.pt of a RUN folder that are not as the run left them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import ArtifactError, GoodviewsError
from goodviews.hub.files.json_files import Place, read_json
from goodviews.hub.schemas.record import check
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.recipe_schema import RecipeFile


@pytest.fixture
def run(smoke: Recipe, images: Path, tmp_path: Path) -> Path:
    loop.pretrain(smoke, images, tmp_path / "run", Options(workers=0, precision="fp32"))
    return tmp_path / "run"


def go_on(smoke: Recipe, images: Path, run: Path) -> None:
    longer = replace(smoke, epochs=smoke.epochs)
    loop.pretrain(longer, images, run, Options(workers=0, precision="fp32", resume=True))


def test_whatever_is_odd_in_recipe_json_is_one_sentence(tmp_path: Path, refused: Callable[..., set[tuple[str, str]]]):
    content = {"recipe": {"name": "a", "epochs": 1}, "data": {"images": 3}, "seed": 0, "precision": "fp32"}
    content |= {"accumulate": 1, "compile": False, "parent": None}
    file = tmp_path / "recipe.json"
    place = Place(file, "start anew")
    found = refused(file, content, lambda: check(RecipeFile, read_json(place), place))
    fields = ("recipe", "data", "seed", "precision")
    assert {(kind, field) for field in fields for kind in ("missing", "wrong type")} - found == set()


def test_a_flipped_bit_in_a_checkpoint_is_noticed(smoke: Recipe, images: Path, run: Path):
    file = run / "state" / "checkpoint.pt"
    whole = file.read_bytes()
    for position in (40, len(whole) // 3, len(whole) // 2, len(whole) - 200):
        changed = bytearray(whole)
        changed[position] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ArtifactError, match=r"checkpoint\.pt") as refusal:
            go_on(smoke, images, run)
        assert "\n" not in str(refusal.value)
    file.write_bytes(whole)
    go_on(smoke, images, run)


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"step": "many"},
        {"query": None},
        {"query": {}},
        {"optimizer": {}},
        {"monitor": []},
        {"format": 99},
    ],
)
def test_a_checkpoint_with_other_content_is_one_sentence(smoke: Recipe, images: Path, run: Path, change: dict):
    file = run / "state" / "checkpoint.pt"
    torch.save(torch.load(file, weights_only=True) | change, file)
    with pytest.raises(GoodviewsError, match=r"checkpoint\.pt") as refusal:
        go_on(smoke, images, run)
    assert "\n" not in str(refusal.value)


def test_recipe_json_cut_short_is_one_sentence(smoke: Recipe, images: Path, run: Path):
    (run / "recipe.json").write_text(json.dumps({"recipe": 3}))
    with pytest.raises(ArtifactError, match=r"recipe\.json"):
        go_on(smoke, images, run)
