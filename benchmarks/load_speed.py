"""How long an encoder folder takes to load: with its digest checked, without, and by timm alone.

    python benchmarks/load_speed.py [--architecture resnet50] [--rounds 15] [--out load.json]

The three take turns in every round, in another order each time; a ratio is taken within a round, and its median is
printed. Target: without the check no slower than `timm.create_model` of the same folder, with it at most 1.3 times.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch

from goodviews.hub.artifact import save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.preprocessing import Preprocessing
from goodviews.hub.pretrained import from_pretrained
from goodviews.hub.reports.provenance import commit, hardware


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    figures = measure(given.architecture, given.rounds)
    print(
        f"{given.architecture}, median of {given.rounds} rounds, of timm.create_model ({figures['seconds']:.2f}"
        f" s), times: {figures['trust']:.2f} without the check, {figures['check']:.2f} with it; {hardware()}"
    )
    if given.out is not None:
        given.out.write_text(json.dumps(figures | {"hardware": hardware(), "commit": commit()}, indent=1), "utf-8")


def measure(architecture: str, rounds: int) -> dict[str, float]:
    """Median ratios to timm's load, and the seconds of that."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = save(
            Encoder(build_backbone(architecture), Preprocessing(), Origin("made up")), Path(place) / "encoder"
        )
        ways: dict[str, Callable[[], object]] = {
            "trust": lambda: from_pretrained(str(folder), verify=False),
            "check": lambda: from_pretrained(str(folder)),
            "timm": lambda: timm.create_model(f"local-dir:{folder}", pretrained=True),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-1, rounds):  # the first round fills the system's cache of files
            names = list(ways)
            for name in names[number % 3 :] + names[: number % 3]:
                seconds = _seconds(ways[name])
                if number >= 0:
                    taken[name].append(seconds)
    ratios = {name: [a / b for a, b in zip(taken[name], taken["timm"], strict=True)] for name in ("trust", "check")}
    return {name: statistics.median(found) for name, found in ratios.items()} | {
        "seconds": statistics.median(taken["timm"])
    }


def _seconds(load_it: Callable[[], object]) -> float:
    begin = time.perf_counter()
    load_it()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
