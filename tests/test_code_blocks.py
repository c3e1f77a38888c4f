"""The code blocks of README and of the site's pages run, in order; what cannot run here is listed with its reason."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from goodviews.hub import cli
from goodviews.hub.demo import chain

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (REPOSITORY / "docs/not_run.toml").is_file(), reason="runs in a clone")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "bash", "shell", "console")
STARTS = re.compile(
    r"([A-Z_]+=\S+ )*(goodviews|pip|npm|torchrun|export|python) "
)  # of a command, in a block without a language
SHORTER = {  # what is added to a command so that it takes seconds; the options that the page gives stay
    "pretrain ": {"--epochs": ["1"], "--precision": ["fp32"], "--workers": ["0"], "--knn-every": ["0"]},
    "pretrain simclr_adapt ": {"--batch-size": ["22"]},
    "transfer voc-detection-smoke --encoder": {"--set": ["iterations=2", "lr_steps=1", "precise_bn_iterations=1"]},
}
NAMED = ("raccoon-3.jpg", "raccoon-69.jpg", "coco-458756.jpg")  # photos that pages name
EACH = {"train": 12, "val": 4}  # photos of a class; int8 needs 42 in all


@dataclass(frozen=True)
class Block:
    """A fenced block: a file to write, Python to run, or commands."""

    language: str
    title: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Of a shell block, without comments; a block without a language may be a listing."""
        joined = self.text.replace("\\\n", " ").splitlines()
        lines = [shlex.join(shlex.split(line, comments=True)) if "#" in line else line for line in joined]
        parts = [part.strip() for line in lines for part in line.split("&&")]
        if self.language in SHELL:
            return [part for part in parts if part]
        return [part for part in parts if not self.language and STARTS.match(part + " ")]


def pages() -> list[Path]:
    found = [page for page in (REPOSITORY / "docs").rglob("*.md") if "results" not in page.parts]
    return [REPOSITORY / "README.md", *sorted(found)]


def blocks(page: Path) -> Iterator[Block]:
    for info, text in FENCE.findall(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]+)"', info)
        yield Block((info.split() or [""])[0], title[1] if title else "", text)


def not_run() -> list[str]:
    listed = tomllib.loads((REPOSITORY / "docs/not_run.toml").read_text(encoding="utf-8"))["command"]
    assert all(entry["reason"].endswith(".") for entry in listed)
    return [entry["begins"] for entry in listed]


def with_code() -> list[Path]:
    return [page for page in pages() if any(block.language == "python" or block.commands for block in blocks(page))]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of what `goodviews demo` leaves that pages use: photos, boxes, an encoder."""
    out = tmp_path_factory.mktemp("demo") / "goodviews-demo"
    out.mkdir()
    chain.lay_out_photos(out)
    for folder in (out / "photos").glob("*/*/"):
        for photo in sorted(folder.glob("*.jpg"), key=lambda path: path.name not in NAMED)[EACH[folder.parent.name] :]:
            photo.unlink()
    paths = ["--data", str(out / "photos"), "--out", str(out / "pretrain")]
    cli.run(shortened(["pretrain", chain.RECIPE, "--init", chain.MINI, *paths]))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("page", with_code(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_code_of_a_page_runs_in_order(page, demo, tmp_path, monkeypatch):
    shutil.copytree(demo, tmp_path / "goodviews-demo")
    monkeypatch.chdir(tmp_path)
    listed, names = not_run(), {}
    for block in blocks(page):
        if block.language == "python" and block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, f"{page.name}, a block", "exec"), names)
        for command in block.commands:
            if not command.startswith(tuple(listed)):
                run(command, monkeypatch)


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process where it is ours, which saves importing torch each time."""
    words = shlex.split(command)
    if words[0] != "goodviews":
        subprocess.run(command, shell=True, check=True)
        return
    argv = shortened(words[1:])
    monkeypatch.setattr(sys, "argv", ["goodviews", *argv])
    cli.run(argv)


def shortened(argv: list[str]) -> list[str]:
    """With fewer epochs and iterations, where the page does not say how many."""
    for beginning, options in SHORTER.items():
        if shlex.join(argv).startswith(beginning):
            argv = [*argv, *(word for name, value in options.items() if name not in argv for word in (name, *value))]
    return argv


def ours(command: str) -> list[str] | None:
    """The words after `goodviews`, of a command that is ours in whatever clothes."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    if words[:1] == ["torchrun"]:
        module = words.index("-m") + 1
        return [words[module].removeprefix("goodviews."), *words[module + 1 :]]
    return words[1:] if words[:1] == ["goodviews"] else None


@pytest.mark.parametrize("page", with_code(), ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_command_of_a_page_has_options_that_exist(page):
    for command in (command for block in blocks(page) for command in block.commands):
        words = ours(command)
        if words:
            cli._app(words).parse_args(cli._with_values(words), exit_on_error=False, print_error=False)


def test_every_extra_that_a_page_installs_exists():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    commands = [command for page in pages() for block in blocks(page) for command in block.commands]
    named = {
        name for command in commands for some in re.findall(r"\.\[([\w,]+)\]", command) for name in some.split(",")
    }
    assert named
    assert named <= set(extras)


def test_every_listed_reason_is_of_a_command_that_a_page_has():
    commands = [command for page in pages() for block in blocks(page) for command in block.commands]
    assert [begins for begins in not_run() if not any(command.startswith(begins) for command in commands)] == []
