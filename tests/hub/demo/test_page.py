"""The demo's page, made from made-up runs in the formats of the real ones."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub.demo import chain as demo
from goodviews.hub.demo.page import write_page
from goodviews.hub.errors import DataError
from goodviews.hub.files.atomic import write_json
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import Evidence, Protocol, Report, save_report
from goodviews.pretrain.recipe import describe
from goodviews.pretrain.recipes.adapt import simclr_adapt

TOP1 = {
    "knn-adapted": 73.7,
    "knn-mini": 71.7,
    "knn-untrained": 65.2,
    "linear-adapted": 82.6,
    "linear-mini": 80.4,
    "linear-untrained": 73.9,
}


def report_of(finished: Path) -> Path:
    return write_page(finished, list(demo.QUERIES))


class Page(HTMLParser):
    """What a browser would fetch, and the images without a description."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.nameless, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in {"img", "script", "link", "iframe", "source", "video"}:
            self.fetched.append(values.get("src") or values.get("href") or "")
        if tag == "img" and not values.get("alt"):
            self.nameless.append(values)


def test_page_holds_its_pictures_and_asks_the_network_for_nothing(finished):
    text = report_of(finished).read_text()
    page = Page(text)
    assert page.fetched
    assert all(source.startswith("data:image/") for source in page.fetched)
    assert not page.nameless
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)


def test_page_shows_the_numbers_of_the_runs(finished):
    text = report_of(finished).read_text()
    for shown in ("71.7\u00a0%", "65.2\u00a0%", "23.4\u00a0%", "3.1e-07", "1234567", "$HOME/weird &amp; name"):
        assert shown in text, shown


def test_page_says_when_the_intervals_overlap(finished):
    assert "cannot tell the two apart" in report_of(finished).read_text()


def test_page_of_an_unfinished_demo_is_refused_in_a_sentence(finished):
    (finished / "onnx" / "export.json").unlink()
    with pytest.raises(DataError, match=r"export.json is missing: the demo did not finish"):
        report_of(finished)
    assert not (finished / "report.html").exists()


@pytest.fixture
def finished(tmp_path):
    """A demo folder as the commands leave it, with made-up numbers."""
    demo.lay_out_photos(tmp_path)
    steps = [{"title": "Learn", "command": "goodviews pretrain x --out '$HOME/weird & name'", "seconds": 60.0}]
    write_json(tmp_path / "demo.json", {"started": "2026-01-01T00:00:00+00:00", "seconds": 99.0, "steps": steps})
    _pretrained(tmp_path / "pretrain")
    for name, top1 in TOP1.items():
        metrics = {"top1": top1, "top1_low": top1 - 13, "top1_high": top1 + 11}
        _measured(tmp_path / "transfer" / name, name.split("-")[0], metrics)
    for kind, ap50 in (("mini", 23.4), ("untrained", 12.3)):
        metrics = {"AP50": ap50, "AP50_low": 9.9, "AP50_high": 40.2, "AP": 9.8}
        _measured(tmp_path / "transfer" / f"detection-{kind}", "voc-detection-smoke", metrics)
    _photo(tmp_path / "transfer" / "detection-mini" / "samples.png")
    _photo(tmp_path / "views.png")
    for name in demo.QUERIES:
        _photo(tmp_path / "search" / f"{name}.png")
    difference = {"photos": 12, "largest": 3.1e-07, "mean": 1e-08, "spread": 0.31, "limit": 1e-4}
    entry = {"input": "image: uint8", "output": "embedding", "difference_from_pytorch": difference}
    write_json(tmp_path / "onnx" / "export.json", {"files": {"model.onnx": entry, "model_pixels.onnx": entry}})
    for name in ("model.onnx", "model_pixels.onnx"):
        (tmp_path / "onnx" / name).write_bytes(bytes(1000))
    return tmp_path


def _pretrained(run):
    losses = [{"step": i, "contrast": 4.1 - i / 45, "time_s": i / 2} for i in range(1, 91)]
    lines = [{"step": 0, "knn_top1": 40.0}, *losses, {"step": 90, "knn_top1": 55.0}]
    (run / "encoder").mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = describe(replace(simclr_adapt(), batch_size=32))
    write_json(run / "encoder" / "config.json", {"goodviews": {"recipe": recipe}})
    (run / "encoder" / "model.safetensors").write_bytes(bytes(440_000))


def _measured(run, task, metrics):
    protocol, description = Protocol(task, 1, {"iterations": 80}), {"metric": "AP50, VOC 2007, %"}
    dataset = {"name": "photos", "test_images": 18, "train_images": 54}
    evidence = Evidence(hardware="2 x a processor", version="0.1+g1234567", commit="1234567", seconds=3.0)
    run.mkdir(parents=True)
    identity = EncoderId("an encoder", "resnet18", "ab" * 32)
    save_report(
        Report(protocol, identity, dataset, metrics, next(iter(metrics)), description, "torch", 0, evidence),
        run / "report.json",
    )


def _photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (900, 320), "#8899aa").save(path)


def test_guessing_level_is_the_logarithm_of_the_choices(finished):
    assert f"ln 63 = {math.log(63):.2f}" in re.sub(r"\s+", " ", report_of(finished).read_text())
