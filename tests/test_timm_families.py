"""Telling families of benchmarks/timm_families.py, which walks them all: each comes back by every reader."""

import json
import runpy
from dataclasses import asdict
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "timm_families.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks lie in the repository only")


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.oldest
@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("test_vit", 64),  # pools by its token, not by the mean
        ("test_convnext", 64),  # pools in its head
        ("test_efficientnet", 256),
        ("mobilenetv3_small_050", 1024),  # a layer after the pool widens 288 features
        ("mobilenetv4_conv_small_035", 1280),
        ("ghostnet_050", 1280),
    ],
)
def test_a_network_comes_back_from_its_folder_by_every_reader(name: str, features: int, script: dict):
    outcome = script["walk"](name)
    assert (outcome.result, outcome.sentence) == ("comes back", "")
    assert outcome.features == features


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "densenet121", "swin_tiny_patch4_window7_224"])
def test_a_larger_network_comes_back_too(name: str, script: dict):
    assert script["walk"](name).result == "comes back"


def test_a_network_that_takes_any_size_comes_back_with_the_positions_it_was_built_with(script: dict):
    recipe = script["recipe_for"]("test_vit", px=48)
    outcome = script["come_back"](recipe, "")
    assert (outcome.result, outcome.sentence) == ("comes back", "")


def test_every_family_has_a_smallest_network(script: dict):
    assert script["smallest"]("vision_transformer") == "test_vit"
    assert script["smallest"]("resnet") == "test_resnet"
    assert script["smallest"]("_hub") is None


def test_a_walk_that_was_stopped_does_not_repeat_what_it_has(script: dict, tmp_path: Path, monkeypatch, capsys):
    known = script["Outcome"]("vgg", "vgg11", "refused", sentence="vgg11 is refused | for a test.")
    (tmp_path / "families.jsonl").write_text(json.dumps(asdict(known)) + "\n")
    words = ["--only", "vgg", "--out", str(tmp_path / "families.jsonl"), "--page", str(tmp_path / "page")]
    monkeypatch.setattr("sys.argv", ["timm_families.py", *words])
    with pytest.raises(SystemExit) as end:
        script["main"]()
    assert end.value.code == 0
    assert capsys.readouterr().out == "1 refused\n"
    assert len((tmp_path / "families.jsonl").read_text().splitlines()) == 1
    page = (tmp_path / "page" / "README.md").read_text()
    assert "| 1 | 0 | 1 | beit, " in page
    assert "**Answer.** 0 of 1 come back" in page
    assert "| vgg | vgg11 | refused: vgg11 is refused / for a test. |" in page
    assert json.loads((tmp_path / "page" / "families.json").read_text())["outcomes"][0]["network"] == "vgg11"
