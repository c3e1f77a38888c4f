"""ONNX Runtime for browsers: which version, where it is found, and the three files of it that a page takes along."""

import shutil
import subprocess
from pathlib import Path

from ...hub.errors import ArtifactError, UsageError
from ...hub.files.json_files import Fields, Place, read_json

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # of npm, MIT licence
INSTALL = f"npm install {PACKAGE}@{VERSION}"
# Its file and its name in the page: some file servers do not know that .mjs is JavaScript.
FILES = {
    "ort.wasm.min.mjs": "ort.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort.wasm",
}


def find_runtime(named: Path | None = None) -> Path:
    """The folder of the npm package.

    Args:
        named: the package's own folder, or one with node_modules; None looks into node_modules here, in the folders
            above, and among npm's global packages.

    Raises:
        UsageError: there is none, or one of another version.
    """
    if named is not None:
        found = next((place for place in (named, named / PACKAGE, _package(named)) if _is_package(place)), None)
        if found is None:
            raise UsageError(f"{named} holds no {PACKAGE}; install it there: {INSTALL}")
    else:
        here = Path.cwd()
        places = (_package(folder) for folder in (here, *here.parents))
        found = next((place for place in (*places, *_global()) if _is_package(place)), None)
        if found is None:
            raise UsageError(
                f"A page that searches in the browser needs {PACKAGE} {VERSION}, and there is none in node_modules "
                f"here or above; run {INSTALL} (anywhere, and name that folder with --onnxruntime-web)."
            )
    _check_version(found)
    return found


def copy_runtime(package: Path, folder: Path) -> None:
    """Copy the files that a page needs into a new folder."""
    folder.mkdir()
    for name, copied in FILES.items():
        if not (package / "dist" / name).is_file():
            raise ArtifactError(f"{package} lacks dist/{name}; install it again: {INSTALL}")
        shutil.copyfile(package / "dist" / name, folder / copied)


def _check_version(package: Path) -> None:
    place = Place(package / "package.json", f"install it again: {INSTALL}")
    version = Fields(read_json(place), place).text("version")
    if version != VERSION:
        raise UsageError(f"{package} is {PACKAGE} {version}, and pages are made for {VERSION}; run {INSTALL}")


def _package(folder: Path) -> Path:
    return folder / "node_modules" / PACKAGE


def _is_package(folder: Path) -> bool:
    return (folder / "dist").is_dir() and (folder / "package.json").is_file()


def _global() -> list[Path]:
    """Where npm puts what is installed for all; nothing where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return []
    asked = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, timeout=60, check=False)
    return [Path(asked.stdout.strip()) / PACKAGE] if asked.returncode == 0 else []
