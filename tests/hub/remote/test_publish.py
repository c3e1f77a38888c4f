"""Publishing and fetching through real HTTP with the real client; each failure is one sentence."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from goodviews.hub import Encoder, from_pretrained, load, save
from goodviews.hub.reports.report import Report, save_report

from ..running_hub import RunningHub

pytestmark = pytest.mark.oldest

GOODVIEWS = "import sys; from goodviews.hub.cli import main; main({words!r})"


@pytest.fixture(scope="module")
def folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "tiny")


def goodviews(hub: RunningHub, *words: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the front door, with HF_ENDPOINT set to the hub."""
    return hub.run(GOODVIEWS.format(words=list(words)), home=home, **variables)


@pytest.mark.slow
def test_a_pushed_encoder_is_pulled_back_whole(
    hub: RunningHub, folder: Path, make_report: Callable[..., Report], home: Path, tmp_path: Path
):
    mine = save(load(folder), tmp_path / "mine")
    save_report(make_report(), mine / "reports" / "knn.json")
    (mine / "training").mkdir()
    (mine / "training" / "state.pt").write_bytes(b"private")
    pushed = goodviews(hub, "hub", "push", str(mine), "pub/whole", home=home)
    assert pushed.returncode == 0, pushed.stderr
    assert f"Published: {hub.address}/pub/whole/commit/" in pushed.stdout
    pulled = goodviews(hub, "hub", "pull", "pub/whole", "--out", str(tmp_path / "back"), home=home)
    # the report is of made-up weights, so the pulled copy is refused; without it, it is whole
    assert pulled.returncode == 1
    assert "reports/knn.json is of other weights" in pulled.stderr
    assert not (tmp_path / "back").exists()
    (mine / "reports" / "knn.json").unlink()
    again = goodviews(hub, "hub", "push", str(mine), "pub/whole", home=home)
    assert "removed  reports/knn.json" in again.stdout
    assert goodviews(hub, "hub", "pull", "pub/whole", "--out", str(tmp_path / "back"), home=home).returncode == 0
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(path.name for path in folder.iterdir())
    for file in folder.iterdir():
        if file.name != "README.md":
            assert (tmp_path / "back" / file.name).read_bytes() == file.read_bytes()
    card = (tmp_path / "back" / "README.md").read_text()
    assert 'from_pretrained("pub/whole")' in card
    assert f"HF_ENDPOINT={hub.address}" in card


def test_a_dry_run_shows_files_and_card_and_makes_nothing(hub: RunningHub, folder: Path, home: Path):
    done = goodviews(hub, "hub", "push", str(folder), "pub/dry", "--dry-run", "--licence", "cc-by-4.0", home=home)
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout
    assert 'from_pretrained("pub/dry")' in done.stdout
    assert "license: cc-by-4.0" in done.stdout
    assert "license" not in (folder / "README.md").read_text()
    assert goodviews(hub, "hub", "pull", "pub/dry", "--out", "/nowhere/x", home=home).returncode == 1


@pytest.mark.slow
def test_a_pull_request_and_a_branch_leave_main_alone(hub: RunningHub, folder: Path, home: Path, tmp_path: Path):
    goodviews(hub, "hub", "push", str(folder), "pub/beside", "--revision", "trial", home=home)
    done = goodviews(hub, "hub", "push", str(folder), "pub/beside", "--create-pr", home=home)
    assert "/discussions/1" in done.stdout, done.stderr
    main = goodviews(hub, "hub", "pull", "pub/beside", "--out", str(tmp_path / "m"), home=home)
    assert "is no encoder that can be loaded" in main.stderr
    out = str(tmp_path / "t")
    assert goodviews(hub, "hub", "pull", "pub/beside@trial", "--out", out, home=home).returncode == 0


@pytest.mark.slow
def test_failures_are_one_sentence_and_come_at_once(hub: RunningHub, folder: Path, home: Path):
    out = ("--out", str(home / "out"))
    pull = ("hub", "pull")
    cases = [
        ((*pull, "pub/absent", *out), {}, "has no such repository"),
        ((*pull, "pub/absent@v9", *out), {}, "has no such repository"),
        ((*pull, "no name", *out), {}, "is no repository"),
        (("hub", "push", str(folder), "pub/x"), {"HF_TOKEN": "wrong"}, "the token was refused"),
        (("hub", "push", str(home), "pub/x"), {}, "holds no encoder"),
        ((*pull, "pub/x", *out), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ((*pull, "pub/x", *out), {"HF_HUB_OFFLINE": "1"}, "network must not be used"),
    ]
    for words, variables, sentence in cases:
        done = goodviews(hub, *words, home=home, **variables)
        assert done.returncode == 1, done.stdout
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert "Retry" not in done.stderr
        assert not (home / "out").exists()


def test_a_fault_at_any_request_leaves_the_old_repository_or_the_new_one(hub: RunningHub, home: Path, tmp_path: Path):
    push_with_faults(hub, "pub/fault", home, tmp_path)


def push_with_faults(hub: RunningHub, repo: str, home: Path, place: Path) -> None:
    """After each fault the repository is the old one or the new one, and success is told only of the new one."""
    folders = [save(from_pretrained(f"random:resnet18-w0.25-32px@{seed}"), place / str(seed)) for seed in (1, 2)]
    script = Path(__file__).with_name("push_with_faults.py")
    lines = hub.script(script, hub.address, repo, *map(str, folders), home=home).splitlines()
    pushes = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(pushes) >= 10
    for one in pushes:
        assert one["has_failed"]
        assert one["present"] in (one["old"], one["new"])
        assert one["error"] or one["present"] == one["new"]
    assert {one["present"] == one["new"] for one in pushes} == {True, False}
