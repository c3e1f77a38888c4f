"""What is recorded of a command is published with every report and page."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodviews.hub.reports import provenance
from goodviews.hub.reports.provenance import command


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["transfer", "knn", "--data", "/home/me/photos"], "goodviews transfer knn --data photos"),
        (["hub", "serve", "hub", "--token", "a-secret", "--port", "1"], "goodviews hub serve hub --token ... --port 1"),
        (["hub", "serve", "hub", "--token=a-secret"], "goodviews hub serve hub --token=..."),
    ],
)
def test_it_shows_no_folders_of_its_user_and_no_token(words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/goodviews", *words])
    assert command() == shown


def _git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one commit, as that of an editable installation."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "SOURCE", tmp_path)
    provenance.commit.cache_clear()
    yield tmp_path
    provenance.commit.cache_clear()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_editable_installation_records_the_commit_that_is_checked_out_now(checkout: Path):
    assert provenance.commit() == _git(checkout, "rev-parse", "--short=9", "HEAD")
    provenance.commit.cache_clear()
    (checkout / "code.py").write_text("2")
    assert provenance.commit() == _git(checkout, "rev-parse", "--short=9", "HEAD") + "-dirty"


def test_a_wheel_records_the_commit_in_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "SOURCE", tmp_path)
    monkeypatch.setattr(provenance, "version", lambda: "0.1.1.dev3+g1a2b3c4d5.d20260101")
    provenance.commit.cache_clear()
    assert provenance.commit() == "1a2b3c4d5-dirty"
    provenance.commit.cache_clear()
