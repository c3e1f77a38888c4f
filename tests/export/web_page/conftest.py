"""An index of real photos, and ONNX Runtime for browsers: the real one, or files that only look like it."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from goodviews.export.index.build import build
from goodviews.export.onnx.onnx_file import Export
from goodviews.export.web_page.runtime_files import FILES, PACKAGE, VERSION, find_runtime
from goodviews.hub import OnnxEncoder
from goodviews.hub.errors import UsageError


@pytest.fixture(scope="session")
def index_folder(exported: Export, gallery: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the gallery."""
    out = tmp_path_factory.mktemp("web") / "index"
    build(OnnxEncoder(exported.folder, threads=1), gallery[0].parent, out)
    return out


@pytest.fixture(scope="session")
def plain_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with node_modules; nothing in it runs."""
    root = tmp_path_factory.mktemp("node")
    fake_package(root / "node_modules" / PACKAGE, VERSION)
    return root


def fake_package(folder: Path, version: str) -> None:
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"version": version}))
    for name in FILES:
        (folder / "dist" / name).write_text(name)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real package: one that is installed, else from npm or its cache."""
    try:
        return find_runtime()
    except UsageError:
        pass
    npm, root = shutil.which("npm"), tmp_path_factory.mktemp("npm")
    if npm is None:
        pytest.skip(f"{PACKAGE} is not installed, and there is no npm to bring it")
    options = ["--silent", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000"]
    asked = subprocess.run(
        [npm, "pack", *options, f"{PACKAGE}@{VERSION}"], cwd=root, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        pytest.skip(f"{PACKAGE} is not installed, and npm cannot bring it: {asked.stderr.strip()[:200]}")
    with tarfile.open(next(root.glob("*.tgz"))) as packed:
        wanted = {f"package/dist/{name}" for name in FILES} | {"package/package.json"}
        packed.extractall(root, [member for member in packed if member.name in wanted], filter="data")
    return root / "package"
