"""Public names say what they are, pages use no others, users' types are checked; test_documents holds their list."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from .scripts import load_script

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / "docs" / "site" / "public.py"
COMPONENTS = ("hub", "pretrain", "transfer", "export")
IMPORT = re.compile(r"^ *from (goodviews[\w.]*) import ([\w, ]+)", re.MULTILINE)
USERS_SCRIPT = """
from pathlib import Path

import numpy as np
from goodviews.export import ImageIndex, Match, export
from goodviews.hub import Encoder, GoodviewsError, OnnxEncoder, PhotoEncoder, Report, from_pretrained, load_report
from goodviews.hub import open_encoder
from goodviews.pretrain import RECIPES, Options, Recipe, choose, pretrain
from goodviews.transfer import TASKS, Measurement, Setup, Task


def embed(photos: list[Path]) -> np.ndarray:
    encoder: Encoder = from_pretrained("goodviews:mini", device="cpu")
    return encoder.encode(photos, batch_size=8)


def train(data: Path, out: Path) -> Path:
    recipe: Recipe = choose("moco_v2_smoke", ["epochs=2"])
    pretrain(recipe, data, out, Options(workers=0, seed=1))
    return out / "encoder"


def nearest(folder: Path, photo: Path) -> list[Match]:
    encoder: PhotoEncoder = open_encoder(str(folder))
    return ImageIndex(folder).search(encoder.encode([photo]), 5, encoder=encoder.id)[0]


def score(folder: Path) -> float:
    report: Report = load_report(folder / "report.json")
    return report.metrics[report.primary]


def deploy(folder: Path) -> OnnxEncoder:
    try:
        return OnnxEncoder(export(from_pretrained(str(folder)), folder / "exported").folder)
    except GoodviewsError as error:
        raise SystemExit(str(error)) from error


task: Task = TASKS["knn"]()
names: list[str] = [*RECIPES, *TASKS]
setup = Setup(seed=1)
measured = Measurement({"top1": 50.0}, {"name": "photos"}, "numpy")
reveal_type(embed([]))
"""
WRONG_SCRIPT = """
from goodviews.hub import from_pretrained

number: int = from_pretrained("goodviews:mini", device=3)
"""


@pytest.fixture(scope="module")
def public():
    if not SCRIPT.is_file():
        pytest.skip("runs in a clone: it reads docs")
    return load_script(SCRIPT)


def test_every_public_name_says_what_it_is(public):
    made = re.compile(r"\w+\(")  # the docstring that a dataclass without one gets
    documented = {path: value.__doc__ or "" for path, value in public.names() if callable(value)}
    assert [path for path, text in documented.items() if not text.strip() or made.match(text)] == []


def test_pages_and_examples_import_public_names_alone(public):
    known = {path for path, _ in public.names()}
    pages = [REPOSITORY / "README.md", *(page for page in (REPOSITORY / "docs").rglob("*.md"))]
    used = {
        f"{module}.{name.strip()}"
        for file in [*pages, *(REPOSITORY / "examples").glob("*.py")]
        for module, names in IMPORT.findall(file.read_text(encoding="utf-8"))
        for name in names.split(",")
    }
    assert used
    assert sorted(used - known) == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_completion_offers_every_public_name_before_it_was_used(component):
    program = f"import goodviews.{component} as package; print(*dir(package))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == import_module(f"goodviews.{component}").__all__


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_installed_component_says_that_it_is_typed(component):
    assert (Path(import_module(f"goodviews.{component}").__file__).parent / "py.typed").is_file()


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the namespace goodviews in it, as the interpreter finds it: type checkers see no import hooks."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "goodviews").mkdir()
    for component in COMPONENTS:
        home = Path(import_module(f"goodviews.{component}").__file__).parent
        (folder / "goodviews" / component).symlink_to(home)
    return folder


def checked(script: str, installed: Path, tmp_path: Path) -> str:
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={installed / 'cache'}"]
    done = subprocess.run(
        [*command, "script.py"],
        cwd=tmp_path,
        env={"PATH": "", "MYPYPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_users_script_passes_strict_type_checks_and_a_wrong_one_does_not(installed, tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    passed = checked(USERS_SCRIPT, installed, tmp_path)
    assert not re.search(r"^script.py.* error: ", passed, re.MULTILINE), passed
    assert "ndarray" in passed, "an array is known as an array"
    wrong = checked(WRONG_SCRIPT, installed, tmp_path)
    assert len(re.findall(r"^script.py:4: error: ", wrong, re.MULTILINE)) == 2, wrong
