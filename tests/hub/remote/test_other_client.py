"""The other major version of the Hugging Face client, in an environment of its own, pushes and pulls too."""

import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from goodviews.hub import from_pretrained, load, save

from ..running_hub import RunningHub
from ..test_bare_environment import pip
from .test_publish import goodviews, push_with_faults

OTHERS = {"1": "huggingface-hub>=2,<3", "2": "huggingface-hub>=1.31,<2"}


@pytest.fixture(scope="module")
def other(hub: RunningHub, tmp_path_factory: pytest.TempPathFactory) -> RunningHub:
    """The hub whose clients run in an environment that sees all packages of this one but the client."""
    place = tmp_path_factory.mktemp("other") / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = sysconfig.get_path("purelib", "venv", {"base": str(place)})
    seen = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(packages) / "zz_seen.pth").write_text(seen)  # read after the environment's own packages
    pip(python, OTHERS[huggingface_hub.__version__.partition(".")[0]])
    return replace(hub, python=str(python))


@pytest.mark.slow
def test_a_push_and_a_pull_with_the_other_major_version(other: RunningHub, home: Path, tmp_path: Path):
    ask = "import huggingface_hub, sys; print(huggingface_hub.__version__)"
    ours, theirs = huggingface_hub.__version__, other.client(ask, home=home)
    assert {ours.partition(".")[0], theirs.partition(".")[0]} == {"1", "2"}
    folder = save(from_pretrained("random:resnet18-w0.25-32px"), tmp_path / "tiny")
    pushed = goodviews(other, "hub", "push", str(folder), "other/tiny", home=home)
    assert pushed.returncode == 0, pushed.stderr
    change = ("--create-pr", "--licence", "mit")
    again = goodviews(other, "hub", "push", str(folder), "other/tiny", *change, home=home)
    assert "/discussions/1" in again.stdout, again.stderr
    out = str(tmp_path / "back")
    pulled = goodviews(other, "hub", "pull", "other/tiny", "--out", out, home=home)
    assert pulled.returncode == 0, pulled.stderr
    assert load(out).report_id() == load(folder).report_id()
    for words, sentence in (
        (("other/absent",), "has no such repository"),
        (("other/tiny", "--revision", "v9"), "it has no revision v9"),
    ):
        refused = goodviews(other, "hub", "pull", *words, "--out", out + "2", home=home)
        assert sentence in refused.stderr
        assert "Traceback" not in refused.stderr
    push_with_faults(other, "other/fault", home, tmp_path)
