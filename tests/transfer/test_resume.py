"""One line serves a measurement that may be stopped at any time; plain --resume wants something to go on from."""

import os
import threading
from pathlib import Path

import pytest

from goodviews.hub.cli import run
from goodviews.hub.errors import Busy, OutputExists, UsageError
from goodviews.hub.files.locks import sole_writer
from goodviews.transfer.detection import training_loop

TINY = ["iterations=4", "lr_steps=[3]", "warmup_iterations=2", "batch_size=2", "precise_bn_iterations=2"]
TINY += ["short_sides_px=[48,64]", "test_short_side_px=64"]


def words(data: Path, out: Path, *more: str, encoder: str = "random:resnet18-w0.25-32px") -> list[str]:
    given = ["transfer", "voc-detection-smoke", "--encoder", encoder, "--data", str(data), "--out", str(out)]
    return [*given, "--device", "cpu", "--engine", "torchvision", "--save-every-s", "0", "--set", *TINY, *more]


@pytest.mark.parametrize("spelling", [["--resume", "auto"], ["--resume=auto"]])
def test_resume_auto_starts_goes_on_and_is_content_with_a_finished_one(spelling, devkit, tmp_path, monkeypatch, capsys):
    step, done = training_loop._step, []

    def step_or_stop(*given):
        if len(done) == 3:
            raise RuntimeError("stopped")
        done.append(given[-1])
        return step(*given)

    monkeypatch.setattr(training_loop, "_step", step_or_stop)
    with pytest.raises(RuntimeError, match="stopped"):
        run(words(devkit, tmp_path / "out", *spelling))
    assert len(list((tmp_path / "out.state").glob("detection-*.pt"))) == 1
    monkeypatch.setattr(training_loop, "_step", lambda *given: done.append(given[-1]) or step(*given))
    run(words(devkit, tmp_path / "out", *spelling))
    assert done == [1, 2, 3, 4]
    report = (tmp_path / "out" / "report.json").stat()
    capsys.readouterr()
    run(words(devkit, tmp_path / "out", *spelling))
    assert "Measured before" in capsys.readouterr().out
    assert os.path.samestat(report, (tmp_path / "out" / "report.json").stat())
    with pytest.raises(OutputExists):
        run(words(devkit, tmp_path / "out", *spelling, "--seed", "1"))


def test_plain_resume_refuses_where_there_is_nothing_to_go_on_from(devkit, tmp_path):
    with pytest.raises(UsageError, match=r"out.state holds no state of this training .* or give --resume auto"):
        run(words(devkit, tmp_path / "out", "--resume"))
    with pytest.raises(UsageError, match=r"--resume goes on .* and --overwrite starts it anew"):
        run(words(devkit, tmp_path / "out", "--resume", "--overwrite"))
    assert not list(tmp_path.glob("*out*"))


def test_two_that_train_one_detector_into_one_cache_are_kept_apart(devkit, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(training_loop, "_step", lambda *given: seen.extend((tmp_path / "cache").glob(".*")) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(words(devkit, tmp_path / "out", "--cache", str(tmp_path / "cache")))
    (lock,) = {path.name for path in seen}
    state = tmp_path / "cache" / lock.removeprefix(".").removesuffix(".writer.lock")
    refusals = []

    def other():
        try:
            run(words(devkit, tmp_path / "second", "--cache", str(tmp_path / "cache")))
        except Busy as busy:
            refusals.append(str(busy))

    with sole_writer(state):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refusals) == 1
    assert f"process {os.getpid()} on " in refusals[0]
