"""Kill commands at random moments and count what is lost and what litter stays: both should be nothing.

    python benchmarks/kills.py --kills 100 --seed 0

Five commands in turn: pretraining (with --resume auto), export, index add, hub attach, and transfer with its cache of
frozen features. Each is run once to its end, to know how long it takes and what it leaves. Then, for every kill, it
starts again on a copy of the same folder, gets SIGKILL at a moment drawn from that time, and:

- what was there before must still be there, whole: the old or the new, and it must load;
- the same command, given again, must end well and leave what the run without a kill left;
- no hidden leftover (.partial, .old, .lock) may stay anywhere.

Commands run in forks of this process, so that the moments fall into their work and not into Python's imports. Exits
with status 1 where something is lost or stays.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from goodviews.export.index.image_index import load as load_index
from goodviews.hub import artifact, cli
from goodviews.hub.attach import attached_reports
from goodviews.hub.errors import GoodviewsError
from goodviews.hub.onnx_encoder import OnnxEncoder
from goodviews.hub.pretrained import from_pretrained
from goodviews.hub.reports.provenance import command, commit, hardware
from goodviews.hub.reports.report import load_report

TINY = "random:resnet18-w0.25-32px"
LITTER = (".partial", ".old", ".lock")
LONGEST_S = 600.0  # of a command


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        words: after `goodviews`, for the folder that it works in.
        is_whole: raises, or returns a sentence, where what lies in the folder is neither the old nor the new.
        result: what the command leaves, to compare with that of a run without a kill.
    """

    words: Callable[[Path], Sequence[object]]
    is_whole: Callable[[Path], object]
    result: Callable[[Path], object]


@dataclass
class Outcome:
    """What became of the kills; `lost` and `litter` should be empty.

    Attributes:
        kills: by command, those that met it alive.
        moments: at which share of the command's time.
    """

    kills: Counter[str] = field(default_factory=Counter)
    ended_before: Counter[str] = field(default_factory=Counter)
    moments: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)


def main(
    description: str | None = __doc__,
    commands: Mapping[str, Command] | None = None,
    write: Callable[[Path], None] | None = None,
) -> None:
    """Kill, look, count; by default the commands of this campaign."""
    names = sorted(COMMANDS if commands is None else commands)
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, help="write the counts here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_all(
            Path(folder),
            kills=given.kills,
            seed=given.seed,
            names=given.only,
            commands=commands,
            write=write,
            show=partial(print, flush=True),
        )
    print(f"{sum(outcome.kills.values())} kills: {dict(outcome.kills)}; {len(outcome.lost)} lost, ", end="")
    print(f"{len(outcome.litter)} with litter; {sum(outcome.ended_before.values())} commands had ended before")
    if given.out is not None:
        ran = {
            "hardware": hardware(),
            "seed": given.seed,
            "commit": commit(),
            "command": f"python benchmarks/{command()}",
        }
        given.out.write_text(json.dumps(vars(outcome) | ran, indent=1) + "\n")
    sys.exit(bool(outcome.lost or outcome.litter))


def kill_all(
    folder: Path,
    *,
    kills: int,
    seed: int,
    names: Sequence[str],
    commands: Mapping[str, Command] | None = None,
    write: Callable[[Path], None] | None = None,
    show: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Kill `kills` commands, `names` in turn, in copies of what `write` writes; by default those of this campaign."""
    start, outcome, drawn = folder / "start", Outcome(), random.Random(seed)
    torch.set_num_threads(1)  # a fork has no other threads
    commands = COMMANDS if commands is None else commands
    (write or write_all)(start)
    unbroken = {name: _unbroken(commands[name], start, folder / "unbroken") for name in names}
    while (done := sum(outcome.kills.values())) < kills:
        name = names[done % len(names)]
        seconds, expected = unbroken[name]
        share = drawn.random()
        what = f"kill {done + 1} of seed {seed}, {name} at {share:.0%} of {seconds:.1f} s"
        place = shutil.copytree(start, folder / "work")
        if _killed(commands[name].words(place), share * seconds):
            outcome.kills[name] += 1
            outcome.moments.append(round(share, 3))
            show(what)
        else:
            outcome.ended_before[name] += 1
        lost = [f"{what}: {reason}" for reason in _losses(commands[name], place, expected)]
        left = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.name.endswith(LITTER))
        litter = [f"{what}: {', '.join(left)} stayed"] if left else []
        for failure in (*lost, *litter):
            show(failure)
        outcome.lost += lost
        outcome.litter += litter
        shutil.rmtree(place)
    return outcome


def write_all(folder: Path) -> None:
    """What the commands work on: photos, an encoder, a report of it, an index."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 4)):
        for label in range(2):
            (folder / "photos" / part / f"class{label}").mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 120, (40, 40, 3)) + np.eye(3)[label] * 120
                path = folder / "photos" / part / f"class{label}" / f"{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    artifact.save(from_pretrained(TINY), folder / "encoder")
    finish(_transfer(folder, folder / "measured"))
    photos = folder / "photos" / "val"
    finish(["index", "build", "--encoder", folder / "encoder", "--images", photos, "--out", folder / "index"])


def _transfer(folder: Path, out: Path) -> list[object]:
    return ["transfer", "knn", "--encoder", folder / "encoder", "--data", folder / "photos", "--out", out]


def _pretrain(folder: Path) -> list[object]:
    options = ["--set", "architecture=test_resnet", "--epochs", 2, "--save-every", 2, "--snapshot-every", 1]
    options += ["--precision", "fp32", "--workers", 0, "--knn-every", 0, "--device", "cpu", "--resume", "auto"]
    return ["pretrain", "infomin_smoke", "--data", folder / "photos", "--out", folder / "run", *options]


def _weights(encoder: Path) -> str:
    artifact.load(encoder)
    return str(artifact.read_config(encoder)["goodviews"]["weights_sha256"])


def _whole_run(folder: Path) -> None:
    for encoder in [folder / "run" / "encoder", *(folder / "run" / "snapshots").glob("encoder-*")]:
        if encoder.exists():
            _weights(encoder)


def _whole_index(folder: Path) -> object:
    count = len(load_index(folder / "index"))
    return None if count in (8, 24) else f"the index has {count} photos, neither 8 nor 24"


def _whole_encoder(folder: Path) -> object:
    _weights(folder / "encoder")
    problems = artifact.check(folder / "encoder")
    return problems[0] if problems else None


def _exported(folder: Path) -> object:
    if not (folder / "exported").exists():
        return None
    photos = sorted((folder / "photos" / "val").rglob("*.png"))[:2]
    return OnnxEncoder(folder / "exported").encode(photos).round(4).tolist()


def _scores(folder: Path) -> object:
    return load_report(folder / "scores" / "report.json").metrics if (folder / "scores").exists() else None


COMMANDS = {
    "pretrain": Command(
        words=_pretrain,
        is_whole=_whole_run,
        result=lambda folder: [_weights(folder / "run" / name) for name in ("encoder", "snapshots/encoder-0001")],
    ),
    "export": Command(
        words=lambda folder: ["export", folder / "encoder", "--out", folder / "exported", "--overwrite"],
        is_whole=lambda folder: _exported(folder) and None,
        result=_exported,
    ),
    "index add": Command(
        words=lambda folder: ["index", "add", folder / "index", "--images", folder / "photos" / "train"],
        is_whole=_whole_index,
        result=lambda folder: sorted(Path(item.path).parts[-2:] for item in load_index(folder / "index").items),
    ),
    "hub attach": Command(
        words=lambda folder: ["hub", "attach", folder / "encoder", folder / "measured"],
        is_whole=_whole_encoder,
        result=lambda folder: [
            *attached_reports(folder / "encoder"),
            "| knn |" in (folder / "encoder" / "README.md").read_text("utf-8"),
        ],
    ),
    "transfer": Command(
        words=lambda folder: [*_transfer(folder, folder / "scores"), "--cache", folder / "cache", "--overwrite"],
        is_whole=lambda folder: _scores(folder) and None,
        result=_scores,
    ),
}


def _unbroken(command: Command, start: Path, place: Path) -> tuple[float, object]:
    """How long a command takes, in seconds, and what it leaves."""
    shutil.copytree(start, place)
    begin = time.monotonic()
    finish(command.words(place))
    seconds = time.monotonic() - begin
    result = command.result(place)
    shutil.rmtree(place)
    return seconds, result


def _losses(command: Command, place: Path, expected: object) -> list[str]:
    """What is not whole after a kill, or not as it should be once the command was given again."""
    try:
        problem = command.is_whole(place)
        if problem is not None:
            return [f"after the kill {problem}"]
        finish(command.words(place))
        found = command.result(place)
    except (GoodviewsError, OSError, ValueError, KeyError, RuntimeError) as error:
        return [f"{type(error).__name__}: {error}"]
    return [] if found == expected else [f"{found} instead of {expected}"]


def finish(words: Sequence[object]) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    child, log = _start(words)
    deadline = time.monotonic() + LONGEST_S
    while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    said = log.read_text("utf-8", errors="replace")
    log.unlink()
    if status[1] != 0:
        raise RuntimeError(f"goodviews {' '.join(map(str, words))} failed: {said[-500:]}")


def _killed(words: Sequence[object], after_s: float) -> bool:
    """Start a command and kill it after a time; whether it was still at work then."""
    child, log = _start(words)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    log.unlink()
    return os.WIFSIGNALED(status)


def _start(words: Sequence[object]) -> tuple[int, Path]:
    """A command in a fork of this process, and the file that takes what it says."""
    handle, name = tempfile.mkstemp(suffix=".log")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for stream in (1, 2):
                os.dup2(handle, stream)
            cli.run([str(word) for word in words])
            status = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status)
    os.close(handle)
    return child, Path(name)


if __name__ == "__main__":
    main()
