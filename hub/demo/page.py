"""The demo's page: report.html, one file with its pictures inside, made from the files that the demo's commands wrote.

Every number on it is read from a run's JSON; this module only selects, formats and draws.
"""

import base64
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from ..errors import DataError
from ..files.atomic import write_text
from ..files.csv_tables import read_csv
from ..files.json_files import Place, parse_json
from ..images import read_image
from ..output.templates import fill_template
from ..reports.report import Report, load_report
from ..sources.files import Files
from ..sources.folders import train_and_test
from .charts import LineChart, line_chart, running_mean

SMOOTHED_OVER = 10  # steps
BOXED = ("mini", "untrained")  # the encoders that a detector is fine-tuned from
_AGAIN = "run `goodviews demo --overwrite`"
CURVES = {"contrast": "two views of a photo"}  # losses in metrics.jsonl: what is matched
MATCHED = CURVES["contrast"]


@dataclass(frozen=True)
class Picture:
    """An image inside the page; `alt` says what it shows to a reader who cannot see it."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Learning:
    """The pretraining run: its loss, that of guessing among `others` and the right one, and kNN scores meanwhile."""

    recipe: dict[str, Any]
    steps: int
    seconds: float
    others: int
    chart: LineChart
    chance: float
    remark: str
    knn: LineChart


@dataclass(frozen=True)
class Scores:
    """One task, measured with three encoders of one architecture on the same photos."""

    adapted: Report
    mini: Report
    untrained: Report

    @property
    def each(self) -> tuple[tuple[str, Report], ...]:
        return ("adapted", self.adapted), ("mini", self.mini), ("untrained", self.untrained)


def write_page(out: Path, searches: Sequence[str]) -> Path:
    """Write `out`/report.html from a finished demo.

    Args:
        out: the demo's folder.
        searches: names of the pictures in `out`/search, in the order in which the page shows them.

    Raises:
        DataError: a file that the page shows is missing or damaged.
    """
    values = page(out, searches)
    text = fill_template("goodviews.hub.demo", "page.html.j2", values, filters={"interval": _interval})
    return write_text(out / "report.html", text)


def page(out: Path, searches: Sequence[str]) -> dict[str, Any]:
    """What the template shows; its keys are the template's variables."""
    train, test = train_and_test(out / "photos")
    scores = {task: _scores(out, task) for task in ("knn", "linear")}
    return {
        "log": _read_json(out / "demo.json"),
        "train": train,
        "test": test,
        "counts": _counts(train, test),
        "mosaic": [_thumbnail(path) for path in _spread(train, 24)],
        "views": _picture(
            out / "views.png", "A photo and the views that were made of it: crops, colours changed, patches"
        ),
        "learning": _learning(out / "pretrain"),
        "smoothed_over": SMOOTHED_OVER,
        "scores": scores,
        "guess": _guess(test),
        "verdicts": [
            _verdict("Mini against untrained", [(pair.mini, pair.untrained) for pair in scores.values()]),
            _verdict("Adapted against mini", [(pair.adapted, pair.mini) for pair in scores.values()]),
        ],
        "detection": {kind: load_report(out / "transfer" / f"detection-{kind}" / "report.json") for kind in BOXED},
        "boxes": _picture(
            out / "transfer" / "detection-mini" / "samples.png", "Test photos with the boxes that the detector drew"
        ),
        "export": _read_json(out / "onnx" / "export.json"),
        "sizes": _sizes(out),
        "neighbours": [_neighbours(out / "search", name) for name in searches],
        "credits": read_csv(out / "photos" / "ATTRIBUTION.csv"),
    }


def _learning(run: Path) -> Learning:
    place = Place(run / "metrics.jsonl", _AGAIN, error=DataError)
    lines = [parse_json(line, place) for line in _read(place.path).splitlines()]
    steps = [line for line in lines if "contrast" in line]
    if not steps:
        raise DataError(
            f"{run / 'metrics.jsonl'} has no line with a loss; the pretraining step of the demo is incomplete."
        )
    recipe = _read_json(run / "encoder" / "config.json")["goodviews"]["recipe"]
    others = 2 * (recipe["batch_size"] - 1)  # the views of the batch's other photos
    curves = {CURVES[name]: running_mean([line[name] for line in steps], SMOOTHED_OVER) for name in CURVES}
    chance = math.log(others + 1)
    chart = line_chart([line["step"] for line in steps], curves, level=chance)
    scored = [line for line in lines if "knn_top1" in line]
    knn = line_chart([line["step"] for line in scored], {"classified correctly": [line["knn_top1"] for line in scored]})
    remark = _remark(curves[MATCHED], chance)
    return Learning(recipe, steps[-1]["step"], steps[-1]["time_s"], others, chart, chance, remark, knn)


def _remark(losses: Sequence[float], chance: float) -> str:
    """What the loss curve of the whole photo shows, and what it does not; losses and `chance` in nats."""
    gain = chance - losses[-1]
    matched = f"{gain:.2f} nats better than by guessing" if gain > 0.05 else "hardly better than by guessing"
    return f"At the end a view is matched {matched}."


def _scores(out: Path, task: str) -> Scores:
    reports = [
        load_report(out / "transfer" / f"{task}-{kind}" / "report.json")
        for kind in (field.name for field in fields(Scores))
    ]
    return Scores(*reports)


def _interval(report: Report) -> tuple[float, float]:
    return report.metrics[f"{report.primary}_low"], report.metrics[f"{report.primary}_high"]


def _guess(test: Files) -> dict[str, Any]:
    """What always answering the most frequent class scores, in percent."""
    label, count = _per_class(test).most_common(1)[0]
    return {"name": test.classes[label], "share": 100 * count / len(test)}


def _verdict(pair: str, reports: Sequence[tuple[Report, Report]]) -> str:
    """In a sentence, whether the test photos can tell two encoders apart at all, task by task."""
    apart = [ours.task for ours, theirs in reports if not _overlap(ours, theirs)]
    if not apart:
        return f"{pair}: the intervals overlap in both; so few photos cannot tell the two apart."
    if len(apart) == len(reports):
        return f"{pair}: the intervals are apart in both."
    return f"{pair}: the intervals are apart in {apart[0]}; in the other, so few photos cannot tell the two apart."


def _overlap(ours: Report, theirs: Report) -> bool:
    a, b = _interval(ours), _interval(theirs)
    return a[0] <= b[1] and b[0] <= a[1]


def _counts(train: Files, test: Files) -> list[tuple[str, int, int]]:
    """(class, photos to learn from, photos to test on) of every class."""
    to_learn, to_test = _per_class(train), _per_class(test)
    return [(name, to_learn[i], to_test[i]) for i, name in enumerate(train.classes)]


def _per_class(part: Files) -> Counter[int]:
    assert part.labels is not None, "train_and_test returns labelled folders"
    return Counter(part.labels.tolist())


def _sizes(out: Path) -> dict[str, float]:
    """Megabytes of the files that a user would deploy."""
    paths = {
        "model.safetensors": out / "pretrain" / "encoder" / "model.safetensors",
        "model.onnx": out / "onnx" / "model.onnx",
        "model_pixels.onnx": out / "onnx" / "model_pixels.onnx",
    }
    return {name: path.stat().st_size / 1e6 for name, path in paths.items()}


def _neighbours(folder: Path, name: str) -> Picture:
    about = f"The photo searched for ({name}) and its nearest neighbours, most similar first"
    return _picture(folder / f"{name}.png", about)


def _spread(folder: Files, count: int) -> list[Path]:
    """About `count` photos, from every class its share."""
    step = max(1, len(folder) // count)
    photos = [folder.path(position) for position in range(step // 2, len(folder), step)[:count]]
    return sorted(photos, key=lambda path: path.stem[::-1])  # classes mixed, the same on every machine


def _thumbnail(path: Path, side_px: int = 132) -> Picture:
    image = ImageOps.fit(read_image(path), (side_px, side_px), Image.Resampling.LANCZOS)
    return _embed(image, alt=f"{path.parent.name}: {path.stem}")


def _picture(path: Path, alt: str) -> Picture:
    return _embed(read_image(path), alt)


def _embed(image: Image.Image, alt: str) -> Picture:
    """The image as a JPEG data URI: photos and drawings on them, where PNG would be five times as long."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85, subsampling=0)
    return Picture("data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode(), alt, *image.size)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        raise DataError(f"{path} is missing: the demo did not finish; {_AGAIN}.") from None


def _read_json(path: Path) -> dict[str, Any]:
    return parse_json(_read(path), Place(path, _AGAIN, error=DataError))
