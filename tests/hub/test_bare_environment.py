"""The deployed encoder in a real environment with numpy, Pillow, ONNX Runtime and nothing else."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import OnnxEncoder

REPOSITORY = Path(__file__).parents[2]
OFFLINE = ("NewConnectionError", "Max retries exceeded", "No matching distribution found", "Could not find a version")
ABSENT = ("torch", "timm", "rich", "cyclopts", "jinja2", "onnx", "faiss", "scipy", "safetensors", "huggingface_hub")
SCRIPT = """
import importlib.util
import json
import pickle
import sys

from goodviews.export import OnnxEncoder as same
from goodviews.hub import OnnxEncoder, SkippedImages, open_encoder

if __name__ == "__main__":  # the process that decodes imports this file too
    folder, photo, broken, *absent = sys.argv[1:]
    assert same is OnnxEncoder
    encoder, skipped = pickle.loads(pickle.dumps(open_encoder(folder))), SkippedImages()
    vectors = encoder.encode([photo, broken, photo], batch_size=2, progress=True, workers=1, skipped=skipped)
    found = [name for name in absent if importlib.util.find_spec(name)]
    ids = [encoder.id.to_json(), encoder.report_id().report_json()]
    print(json.dumps({"vectors": vectors.tolist(), "skipped": skipped.positions, "ids": ids, "found": found}))
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new environment; goodviews is installed there without what it depends on."""
    if not (REPOSITORY / "pyproject.toml").is_file():
        pytest.skip("runs in a clone: it installs goodviews from there")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    interpreter = tmp_path / "bare" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip(interpreter, "numpy", "pillow", "onnxruntime")
    pip(interpreter, "--no-deps", str(copied_sources(tmp_path / "sources")))
    return interpreter


def pip(interpreter: Path, *what: str) -> None:
    ran = subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", *what],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode and any(sign in ran.stderr for sign in OFFLINE):
        pytest.skip("PyPI cannot be reached: " + ran.stderr.strip().splitlines()[-1])
    assert ran.returncode == 0, ran.stderr


def copied_sources(out: Path) -> Path:
    """What the wheel is built from: building in the clone itself would leave files there."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    out.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, out)
    for folder in settings["tool"]["setuptools"]["package-dir"].values():
        shutil.copytree(REPOSITORY / folder, out / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return out


@pytest.mark.slow
def test_numpy_pillow_and_onnx_runtime_are_all_that_the_deployed_encoder_needs(
    python: Path, exported: Export, gallery: list[Path], odd_files: Path, tmp_path: Path
):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    asked = [exported.folder, gallery[0], odd_files / "made_empty.jpg", *ABSENT]
    ran = subprocess.run([python, script, *asked], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    answer, here = json.loads(ran.stdout), OnnxEncoder(exported.folder)
    np.testing.assert_allclose(answer["vectors"], here.encode([gallery[0], gallery[0]]), atol=1e-5)
    assert (answer["skipped"], answer["found"]) == ([1], [])
    assert answer["ids"] == json.loads(json.dumps([here.id.to_json(), here.report_id().report_json()]))
    assert ran.stderr.endswith("Encoding 3/3\n")


@pytest.mark.skipif(not (REPOSITORY / "README.md").is_file(), reason="runs in a clone: it reads README.md")
def test_the_readme_gives_the_two_lines_that_this_installation_takes():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "\npip install numpy pillow onnxruntime\npip install --no-deps .\n" in text
