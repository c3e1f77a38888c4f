"""The page of serving is made of the files beside it."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from .scripts import load_script

SCRIPT = Path(__file__).parents[1] / "docs" / "results" / "serving.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="runs in a clone: the script lies in docs/")


@pytest.fixture(scope="module")
def serving() -> ModuleType:
    return load_script(SCRIPT)


def test_the_page_tells_what_the_benchmark_and_the_export_wrote(serving: ModuleType, tmp_path: Path):
    row = {"batch": 1, "name": "ONNX Runtime int8", "images_per_s": 40.04, "ratio": 3.256, "runs": 9}
    row |= {"p50_ms": 25.0, "p95_ms": 31.04, "p99_ms": 40.06}
    speed = {"rows": [row, row | {"name": "fastembed, from disk", "ratio": 0.9}], "rounds": 5, "threads": 1}
    speed |= {"architecture": "resnet50", "input_px": 224, "hardware": "1 x Processor", "command": "speed.py"}
    speed |= {"instructions": ["avx512_vnni"], "commit": "abc1234", "libraries": {"torch": "2", "onnxruntime": "1"}}
    speed |= {"bytes": {"model.onnx": 94_100_000}, "peak_memory_mb": {"ONNX Runtime int8": 210.4}}
    difference = {"photos": 1000, "largest": 0.0004, "mean": 0.0001, "overlap": 0.976, "knn": 57.5, "knn_pytorch": 57.4}
    encoder = {"name": "mini", "architecture": "resnet18", "preprocessing": {"input_px": 56}}
    files = {"model_pixels_int8.onnx": {"bytes": 2_900_000, "difference_from_pytorch": difference}}
    quality = {"goodviews": "0.1", "encoder": encoder, "files": files | {"feature_maps.onnx": {"bytes": 1}}}
    (tmp_path / "speed.json").write_text(json.dumps(speed))
    (tmp_path / "export.json").write_text(json.dumps(quality))
    serving.write(speed=tmp_path / "speed.json", quality=tmp_path / "export.json", out=tmp_path / "page")
    page = (tmp_path / "page" / "README.md").read_text()
    assert "| 1 | ONNX Runtime int8 | 40.0 | 3.26 | 25.0 | 31.0 |" in page
    assert "| 1 | ONNX Runtime int8 | 40.0 | 25.0 | 31.0 | 40.1 | 9 |" in page
    assert "| model_pixels_int8.onnx | 2.9 | 0.999600 | 0.976 | 57.5 | 57.4 |" in page
    assert "| model_pixels_int8.onnx | 1000 | 0.999600 | 0.999900 |" in page
    assert "In int8 exported files run at 3.3 to 3.3 times PyTorch eager fp32." in page
    assert "model_pixels_int8.onnx keeps 97.6 % of the 10 nearest neighbours" in page
    assert "| ONNX Runtime int8 | 210 |" in page
    assert page.index("fastembed, from disk") > page.index("From photos on disk")


def test_the_page_is_made_of_the_figures_beside_it(serving: ModuleType):
    page = SCRIPT.parent / "serving"
    speed, quality = (json.loads((page / name).read_text()) for name in ("speed.json", "quality.json"))
    assert (page / "README.md").read_text() == serving.text(speed, quality)
