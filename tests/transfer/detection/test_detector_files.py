"""detector.json and detector.safetensors that others wrote."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Preprocessing
from goodviews.hub.errors import ArtifactError
from goodviews.transfer.detection.detector_files import read_about
from goodviews.transfer.detection.load_detector import load_detector
from goodviews.transfer.detection.voc import voc_detection_smoke
from goodviews.transfer.torchvision_engine.detector import TorchvisionDetector
from goodviews.transfer.torchvision_engine.network import build_detector


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    settings = replace(voc_detection_smoke().measure, detections_per_photo=3)
    network = build_detector(build_backbone("test_resnet"), Preprocessing(), 2, settings)
    return TorchvisionDetector(network, ("cat", "dog"), "test_resnet", Preprocessing(), settings).save(tmp_path)


def test_whatever_is_odd_in_detector_json_is_one_sentence(trained: Path, refused: Callable[..., set[tuple[str, str]]]):
    file = trained / "detector.json"
    found = refused(file, json.loads(file.read_text()), lambda: read_about(trained))
    fields = ("format", "architecture", "classes", "preprocessing", "settings")
    assert {(kind, field) for field in fields for kind in ("missing", "wrong type")} - found == set()
    assert {("negative", "settings.roi_px"), ("empty", "classes"), ("wrong type", "settings.trunk")} - found == set()


def test_a_file_of_weights_cannot_be_named_in_detectron2s_configuration(trained: Path):
    file = trained / "detector.json"
    content = json.loads(file.read_text()) | {"engine": "detectron2"}
    for key in ("MODEL.WEIGHTS", "_BASE_", "OUTPUT_DIR"):
        file.write_text(json.dumps(content | {"configuration": {key: "evil.pkl"}}))
        with pytest.raises(ArtifactError, match=r"detector\.json has .*configuration"):
            load_detector(trained)


def test_arguments_that_timm_would_open_are_refused(trained: Path):
    file = trained / "detector.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_args": {"checkpoint_path": "evil.pth"}}))
    with pytest.raises(ArtifactError, match="checkpoint_path"):
        load_detector(trained)
