"""Each script in examples/ runs on the bundled photos and does what it says."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from .scripts import load_script

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="runs in a clone: it reads examples/")


def example(name: str) -> ModuleType:
    return load_script(EXAMPLES / f"{name}.py")


def test_groups_without_labels_follow_the_folders():
    groups = example("embed_and_cluster").main()
    photos = sum(sum(names.values()) for names in groups)
    assert sum(max(names.values(), default=0) for names in groups) > 0.6 * photos


def test_five_photos_a_class_make_a_classifier_that_training_helps():
    accuracy = example("few_shot_classifier").main()
    assert accuracy["goodviews:mini"] > 60


def test_most_changed_copies_find_their_original():
    assert example("near_duplicates").main() > 0.7


@pytest.mark.slow
def test_a_detector_is_trained_on_boxes_and_looks_at_a_photo(tmp_path):
    run_folder = example("detector_on_own_boxes").main(tmp_path, iterations=3)
    assert (run_folder / "report.json").is_file()


def test_a_recipe_of_ones_own_makes_an_encoder(tmp_path):
    folder = example("custom_recipe").main(tmp_path)
    assert (folder / "model.safetensors").is_file()
    views = json.loads((folder.parent / "recipe.json").read_text(encoding="utf-8"))["recipe"]["views"]
    assert {operation.get("hue", 0.02) for view in views for operation in view["program"]} == {0.02}


def test_a_raccoon_finds_raccoons(tmp_path):
    found = example("search").main(tmp_path)
    assert sum(path.parent.name == "raccoon" for path in found) >= 3
    assert (tmp_path / "neighbours.png").is_file()


@pytest.mark.slow
def test_a_service_answers_a_program(tmp_path):
    pytest.importorskip("prometheus_client", reason='needs the extra serve: pip install ".[serve]"')
    matches = example("query_service").main(tmp_path)
    assert sum("raccoon" in match["path"] for match in matches) >= 3


def test_every_example_is_run_by_a_test():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [file.name for file in EXAMPLES.glob("*.py") if f'example("{file.stem}")' not in text] == []
