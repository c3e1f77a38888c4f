"""What fine-tuning leaves: a folder that goodviews, timm and transformers read with its classifier, and `classify`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from goodviews.hub import cli, from_pretrained
from goodviews.hub.artifact import save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import ArtifactError, DataError, UsageError
from goodviews.hub.preprocessing import Preprocessing
from goodviews.transfer import load_classifier
from goodviews.transfer.classification.fine_tune import finetune, finetune_1pct
from goodviews.transfer.task import Setup

from ...conftest import COLOURS, paint


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A narrow network fine-tuned to tell three colours."""
    folder = tmp_path_factory.mktemp("classifier")
    for part, count in (("train", 6), ("val", 3)):
        for name, colour in COLOURS.items():
            paint(folder / "colours" / part / name, colour, count, seed=len(part))
    torch.manual_seed(0)
    encoder = Encoder(
        build_backbone("resnet18", width=0.25), Preprocessing(32, crop_pct=1.0), Origin("tiny", licence="mit")
    )
    finetune().with_changes(["epochs=5"]).run(encoder, folder / "colours", folder / "run", setup=Setup(batch_size=6))
    return folder / "run"


@pytest.fixture
def red(tmp_path) -> Path:
    paint(tmp_path / "photos", COLOURS["red"], 1, seed=7)
    [photo] = (tmp_path / "photos").iterdir()
    return photo


def test_classifier_repeats_the_predictions_of_its_run(run):
    classifier = load_classifier(run)
    assert classifier.classes == ("blue", "green", "red")
    rows = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()]
    assert rows[0] == ["path", "label", "predicted"]
    found = classifier.classify([run.parent / "colours" / path for path, _, _ in rows[1:]])
    assert [guesses[0].name for guesses in found] == [predicted for _, _, predicted in rows[1:]]


def test_probabilities_sum_to_one_and_the_likeliest_come_first(run, red):
    classifier = load_classifier(run / "classifier")
    np.testing.assert_allclose(classifier.probabilities([red]).sum(axis=1), [1.0], rtol=1e-6)
    [guesses] = classifier.classify([red], k=2)
    assert len(guesses) == 2
    assert guesses[0].probability >= guesses[1].probability
    assert len(classifier.classify([red], k=99)[0]) == 3


@pytest.mark.oldest
def test_timm_reads_the_folder_with_its_classifier_and_gives_the_same_scores(run, red):
    network = timm.create_model(f"local-dir:{run / 'classifier'}", pretrained=True).eval()
    classifier = load_classifier(run)
    assert network.num_classes == 3
    assert tuple(network.pretrained_cfg["label_names"]) == classifier.classes
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    with torch.inference_mode():
        scores = network(transform(Image.open(red).convert("RGB"))[None]).softmax(dim=1)
    np.testing.assert_allclose(scores.numpy(), classifier.probabilities([red]), atol=1e-5)


@pytest.mark.oldest
def test_transformers_reads_the_folder_with_its_classifier(run, red):
    transformers = pytest.importorskip("transformers")
    network = transformers.AutoModelForImageClassification.from_pretrained(run / "classifier").eval()
    processor = transformers.AutoImageProcessor.from_pretrained(run / "classifier")
    with torch.inference_mode():
        scores = network(**processor(Image.open(red).convert("RGB"), return_tensors="pt")).logits.softmax(dim=1)
    assert list(network.config.id2label.values()) == ["blue", "green", "red"]
    np.testing.assert_allclose(scores.numpy(), load_classifier(run).probabilities([red]), atol=1e-5)


def test_folder_is_an_encoder_too_and_names_what_it_was_trained_from(run, red):
    encoder = from_pretrained(run / "classifier")
    np.testing.assert_array_equal(encoder.encode([red]), load_classifier(run).encoder.encode([red]))
    config = json.loads((run / "classifier" / "config.json").read_text())
    assert config["model_args"] == {"channels": [16, 32, 64, 128]}
    assert config["pretrained_cfg"]["license"] == "mit"
    ours = config["goodviews_classifier"]
    assert ours["encoder"]["name"] == "tiny"
    assert ours["task"] == "5 epochs of 18 photos of colours"
    assert "blue, green, red" in (run / "classifier" / "README.md").read_text()


def test_few_labels_leave_a_classifier_too(run, tmp_path):
    encoder = from_pretrained(run / "classifier")
    finetune_1pct().with_changes(["epochs=1"]).run(encoder, run.parent / "colours", tmp_path / "few")
    assert load_classifier(tmp_path / "few").classes == ("blue", "green", "red")


def test_command_prints_a_line_a_photo_or_json(run, red, capsys):
    cli.run(["classify", str(run), str(red), str(red), "-k", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{red}: ")
    assert lines[0].count(" %") == 2
    cli.run(["classify", str(run), str(red), "--json"])
    [found] = json.loads(capsys.readouterr().out)
    assert found["photo"] == str(red)
    assert {one["class"] for one in found["classes"]} == set(COLOURS)
    assert sum(one["probability"] for one in found["classes"]) == pytest.approx(1, abs=1e-5)


def test_what_is_no_photo_or_no_classifier_is_refused_in_a_sentence(run, red, tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    for photo in (tmp_path / "text.jpg", tmp_path / "none.jpg"):
        with pytest.raises(DataError, match=photo.name):
            cli.run(["classify", str(run), str(red), str(photo)])
    with pytest.raises(UsageError, match=r"-k is 0; it must be 1 or more"):
        cli.run(["classify", str(run), str(red), "-k", "0"])
    with pytest.raises(ArtifactError, match=r"holds no classifier: config\.json is missing"):
        cli.run(["classify", str(tmp_path), str(red)])
    encoder = Encoder(build_backbone("test_resnet"), Preprocessing(32), Origin("bare"))
    with pytest.raises(ArtifactError, match="holds an encoder, which knows no classes"):
        cli.run(["classify", str(save(encoder, tmp_path / "encoder")), str(red)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_names": ["red", "blue"]}, "label_names"),
        ({"num_classes": 4, "label_names": ["a", "b", "c", "d"]}, r"no tensor fc.weight of shape \(4, 128\)"),
        ({"label_names": None}, "label_names"),
        ({"architecture": "nonsense"}, "nonsense"),
    ],
)
def test_a_changed_folder_is_refused(change, message, run, red, tmp_path):
    folder = Path(shutil.copytree(run / "classifier", tmp_path / "changed"))
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=message):
        load_classifier(folder)


def test_changed_weights_are_refused(run, tmp_path):
    folder = Path(shutil.copytree(run / "classifier", tmp_path / "changed"))
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match="it was changed or is damaged"):
        load_classifier(folder)
