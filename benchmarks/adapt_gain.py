"""What adapting an encoder gains on a set of photos: kNN before and after, for several seeds.

    python benchmarks/adapt_gain.py --init goodviews:mini --data flowers5 --recipe simclr_adapt --out flowers5.json

DATA has train/<class> and val/<class> (or test). The encoder learns from photos of the train part without their labels;
the same photos with labels are the neighbours among which each photo of the other part is looked up. Runs lie in
--runs, and one that is there already is not done again: a stopped measurement goes on.
`docs/results/adapt.py` makes a page of the figures.
"""

import argparse
import csv
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from goodviews.hub.comparison.paired import mcnemar, paired_bootstrap
from goodviews.hub.pretrained import from_pretrained
from goodviews.hub.reports.provenance import command, commit, hardware
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training.loop import pretrain
from goodviews.transfer import knn


def main() -> None:
    """Train, measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", required=True, help="the encoder to start from")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/<class> and val/<class> or test")
    parser.add_argument("--recipe", default="simclr_adapt")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--photos", type=int, help="of the train part, the first of each class; by default all")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipe")
    parser.add_argument("--runs", type=Path, default=Path("adapt-runs"))
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = given.data if given.photos is None else part_of(given.data, given.photos, given.runs / "data")
    figures = measure(given.init, data, given.recipe, given.set, given.seeds, given.runs / data.name)
    low, high = figures["over_seeds"] or (float("nan"),) * 2
    print(
        f"{given.recipe} on {figures['photos']} photos of {data.name}: {figures['start']:.1f} % before, gain "
        f"{figures['gain']:+.1f} [{low:+.1f}, {high:+.1f}] over {len(given.seeds)} seeds"
    )
    if given.out is not None:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


def part_of(data: Path, photos: int, folder: Path) -> Path:
    """A folder of links: the first photos of each class of the train part, as many of each, and all test photos."""
    part = folder / data.name
    classes = sorted(path for path in (data / "train").iterdir() if path.is_dir())
    for place in classes:
        (part / "train" / place.name).mkdir(parents=True, exist_ok=True)
        for photo in sorted(place.iterdir())[: photos // len(classes)]:
            _link(part / "train" / place.name / photo.name, photo)
    for name in ("val", "test"):
        if (data / name).is_dir():
            _link(part / name, data / name)
    return part


def _link(link: Path, target: Path) -> None:
    with suppress(FileExistsError):  # from an earlier call, or one that runs beside this one
        link.symlink_to(target.resolve())


def measure(init: str, data: Path, recipe: str, changes: list[str], seeds: list[int], runs: Path) -> dict[str, Any]:
    """The figures of one set of photos."""
    start = from_pretrained(init)
    resolved = choose(recipe, changes, start_px=start.preprocessing.input_px)
    folders = {seed: runs / f"{resolved.name}-{seed}" for seed in seeds}
    rows: list[dict[str, Any]] = [{"seed": seed, **adapt(resolved, data, folders[seed], init, seed)} for seed in seeds]
    before = scores(init, data, runs / "start-knn")
    after = [scores(run / "encoder", data, run.with_name(f"{run.name}-knn")) for run in folders.values()]
    for row, now in zip(rows, after, strict=True):
        won, lost = int((now > before).sum()), int((now < before).sum())
        row |= {"top1": now.mean(), "won": won, "lost": lost, "p": mcnemar(now > 0, before > 0)}
    about = json.loads((folders[seeds[0]] / "recipe.json").read_text())
    gains = np.array([row["top1"] - before.mean() for row in rows])
    everything = [np.arange(len(before))]
    return {
        "data": data.name,
        "photos": about["data"]["images"],
        "test_photos": len(before),
        "encoder": {"parent": about["parent"], "architecture": start.architecture},
        "recipe": about["recipe"],
        "start": before.mean(),
        "runs": rows,
        "gain": gains.mean(),
        "over_seeds": over_seeds(gains),
        "over_photos_and_seeds": list(paired_bootstrap(np.stack(after), before[None], everything)[:2]),
        "evidence": {
            "command": command(),
            "commit": commit(),
            "hardware": hardware(),
            "precision": about["precision"],
            "libraries": about["libraries"],
        },
    }


def over_seeds(gains: "np.ndarray[Any, Any]") -> list[float] | None:
    """The 95 % t interval of their mean; None of one."""
    if len(gains) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains))
    return [gains.mean() - half, gains.mean() + half]


def adapt(recipe: Any, data: Path, run: Path, init: str, seed: int) -> dict[str, float]:
    """Trains, unless it is done; the minutes that one core was busy with it."""
    record = run / "seconds.json"
    if not record.is_file():
        begin = time.process_time()
        pretrain(
            recipe,
            data,
            run,
            Options(
                init=init, seed=seed, workers=0, knn_every=0, keep="memory", keep_px=2 * recipe.input_px, overwrite=True
            ),
        )
        record.write_text(json.dumps({"core_minutes": (time.process_time() - begin) / 60}))
    found: dict[str, float] = json.loads(record.read_text())
    return found


def scores(encoder: str | Path, data: Path, out: Path) -> "np.ndarray[Any, Any]":
    """100 for each test photo whose neighbours name its class, else 0; in the order of their paths."""
    if not (out / "report.json").is_file():
        knn().run(from_pretrained(encoder), data, out)
    with (out / "predictions.csv").open(newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["path"])
    return np.array([100.0 * (row["label"] == row["predicted"]) for row in rows])


if __name__ == "__main__":
    main()
