"""What may differ when a run goes on, and what may not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from goodviews.hub import cli
from goodviews.hub.artifact import load
from goodviews.hub.errors import OutputExists, UsageError
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop

USUAL = {"precision": "fp32", "knn_every": 0}


@pytest.fixture(scope="module")
def run(images, smoke, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    loop.pretrain(smoke, images, out, Options(**USUAL))
    return out


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def about(run: Path) -> dict:
    return json.loads((run / "recipe.json").read_text())


def steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def rewrite(run: Path, **changes: object) -> None:
    (run / "recipe.json").write_text(json.dumps(about(run) | changes))


def test_another_number_of_processes_is_refused_and_an_older_run_without_one_is_not(copy, images, smoke):
    rewrite(copy, processes=2)
    with pytest.raises(
        UsageError, match=r"was started with 2 processes and cannot go on with 1: .* --nproc-per-node 2"
    ):
        loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))
    rewrite(copy, processes=None)
    loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))


def test_a_run_that_read_jpeg_files_otherwise_is_refused_for_that(copy, images, smoke):
    data = about(copy)["data"]
    rewrite(copy, data={name: value for name, value in data.items() if name != "jpeg"})
    with pytest.raises(UsageError, match=r"by an older goodviews, which read more JPEG files .*anew"):
        loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))
    rewrite(copy, data=data)
    with pytest.raises(UsageError, match="was started without --exact-decode; resume it as it was started"):
        loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True, exact_decode=True))
    rewrite(copy, data=data | {"jpeg": "whole"})
    with pytest.raises(UsageError, match="was started with --exact-decode; resume it as it was started"):
        loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))


@pytest.mark.parametrize("resume", [True, "auto"])
def test_a_renamed_and_moved_data_folder_does_not_block(resume, copy, images, smoke, tmp_path):
    moved = shutil.copytree(images, tmp_path / "elsewhere" / "pictures of mine")
    loop.pretrain(smoke, moved, copy, Options(**USUAL, resume=resume))


def test_other_photos_under_the_same_names_are_refused(copy, images, smoke, tmp_path):
    changed = shutil.copytree(images, tmp_path / "images")
    shutil.copy(changed / "class1" / "00.png", changed / "class0" / "00.png")
    with pytest.raises(UsageError, match=r"was started with data.photos_sha256 "):
        loop.pretrain(smoke, changed, copy, Options(**USUAL, resume=True))


def test_a_finished_run_is_lengthened_without_having_asked_before(copy, images, smoke):
    longer = replace(smoke, epochs=3)
    loop.pretrain(longer, images, copy, Options(**USUAL, resume=True))
    assert steps(copy) == [*range(1, 13)]
    encoder = load(copy / "encoder")
    assert encoder.origin.epochs == 3
    assert encoder.origin.recipe["lengthened_from"] == [2]
    assert about(copy)["lengthened_from"] == [2]
    assert about(copy)["recipe"]["epochs"] == 3
    loop.pretrain(replace(smoke, epochs=4), images, copy, Options(**USUAL, resume="auto"))
    assert load(copy / "encoder").origin.recipe["lengthened_from"] == [2, 3]
    with pytest.raises(UsageError, match=r"was started with recipe.epochs 4, not 3"):
        loop.pretrain(longer, images, copy, Options(**USUAL, resume=True))


def test_resume_auto_starts_a_run_and_goes_on_with_it(images, smoke, tmp_path, monkeypatch):
    step = loop._step

    def step_or_stop(run, batches):
        if run.state.step == 6:
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    options = Options(**USUAL, save_every=5, resume="auto")
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(smoke, images, tmp_path / "run", options)
    monkeypatch.setattr(loop, "_step", step)
    loop.pretrain(smoke, images, tmp_path / "run", options)
    assert steps(tmp_path / "run") == [*range(1, 9)]
    assert len(about(tmp_path / "run")["resumed"]) == 1


def test_resume_auto_touches_no_folder_that_is_no_run(images, smoke, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputExists):
        loop.pretrain(smoke, images, tmp_path, Options(**USUAL, resume="auto"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("words", "resume"),
    [
        (["infomin_smoke", "--resume"], True),
        (["--resume", "infomin_smoke"], True),
        (["infomin_smoke", "--resume", "auto"], "auto"),
        (["infomin_smoke", "--resume=auto"], "auto"),
        (["--resume", "auto", "infomin_smoke"], "auto"),
        (["infomin_smoke", "--resume", "--seed", "3"], True),
        (["infomin_smoke"], False),
    ],
)
def test_both_spellings_of_resume_are_understood(words, resume, tmp_path, monkeypatch):
    seen = []

    def note(recipe, data, out, options, **further):
        seen.append(options.resume)
        raise UsageError("that is enough")

    monkeypatch.setattr(loop, "pretrain", note)
    with pytest.raises(UsageError, match="that is enough"):
        cli.run(["pretrain", *words, "--data", "photos", "--out", str(tmp_path / "run")])
    assert seen == [resume]
