"""The demo's photos, its chain of commands, and its page made from made-up runs in the formats of the real ones."""

import csv
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from goodviews.hub import cli
from goodviews.hub.atomic import write_json
from goodviews.hub.demo import chain as demo
from goodviews.hub.demo.charts import line_chart, round_numbers, running_mean
from goodviews.hub.demo.page import write_report
from goodviews.hub.errors import DataError, OutputExists, UsageError
from goodviews.hub.folders import train_and_test
from goodviews.hub.report import EncoderId, Evidence, Protocol, Report, save_report
from goodviews.pretrain.models.memories import Queue
from goodviews.pretrain.recipe import describe
from goodviews.pretrain.recipes.infomin import infomin_demo

TOP1 = {"knn-pretrained": 71.7, "knn-random": 65.2, "linear-pretrained": 80.4, "linear-random": 73.9}
REDISTRIBUTABLE = {"MIT", "CC-BY-2.0", "CC-BY-SA-2.0", "No known copyright restrictions"}


# ---------------------------------------------------------------- photos


def test_every_photo_is_attributed_once_under_a_licence_that_allows_redistribution():
    with (demo.PHOTOS / "ATTRIBUTION.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    photos = sorted(path.relative_to(demo.PHOTOS).as_posix() for path in demo.PHOTOS.rglob("*.jpg"))
    assert sorted(row["file"] for row in rows) == photos
    assert {row["licence"] for row in rows} <= REDISTRIBUTABLE
    assert all(row["original"].startswith("http") and row["credit"] for row in rows)


def test_photos_are_small_and_in_both_parts_of_every_class():
    train, test = train_and_test(demo.PHOTOS)
    assert set(train.labels) == set(test.labels) == set(range(len(train.classes)))
    paths = [*train.paths, *test.paths]
    assert len({path.name for path in paths}) == len(paths)
    assert max(max(Image.open(path).size) for path in paths) <= 320
    assert sum(path.stat().st_size for path in paths) < 4e6


def test_boxes_lie_inside_their_photos(tmp_path):
    demo.lay_out_photos(tmp_path)
    year = tmp_path / "VOCdevkit" / "VOC2007"
    listed = {part: (year / "ImageSets" / "Main" / f"{part}.txt").read_text().split() for part in ("trainval", "test")}
    assert not set(listed["trainval"]) & set(listed["test"])
    for name in [*listed["trainval"], *listed["test"]]:
        width, height = Image.open(year / "JPEGImages" / f"{name}.jpg").size
        boxes = ElementTree.parse(year / "Annotations" / f"{name}.xml").findall(".//bndbox")
        assert boxes
        for box in boxes:
            x0, y0, x1, y1 = (int(box.findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 <= x0 < x1 <= width
            assert 1 <= y0 < y1 <= height


def test_photos_that_the_chain_names_ship_and_are_not_learned_from():
    named = [demo.SEEN, *demo.QUERIES.values()]
    assert all((demo.PHOTOS / name).is_file() and name.startswith("val/") for name in named)


# ---------------------------------------------------------------- the chain


def test_every_step_is_a_command_of_the_front_door(tmp_path):
    for step in demo.steps(tmp_path):
        assert step.argv[0] in cli.COMMANDS or " ".join(step.argv[:2]) in cli.COMMANDS


def test_steps_run_in_order_with_their_own_command_line_and_are_noted(tmp_path, monkeypatch, capsys):
    out, ran = tmp_path / "out", []
    monkeypatch.setattr(cli, "run", lambda argv: ran.append((tuple(argv), tuple(demo.sys.argv[1:]))))
    monkeypatch.setattr("goodviews.hub.demo.page.write_report", lambda folder: folder / "report.html")
    demo.demo(out=out)
    assert [argv for argv, _ in ran] == [line for _, line in ran] == [step.argv for step in demo.steps(out)]
    noted = json.loads((out / "demo.json").read_text())["steps"]
    assert [step["command"] for step in noted] == [step.command for step in demo.steps(out)]
    assert all(step["command"] in capsys.readouterr().out for step in noted[:1])


def test_a_failed_step_stops_the_demo_without_a_page(tmp_path, monkeypatch):
    def refuse(argv):
        raise UsageError("There is no recipe of this name.")

    monkeypatch.setattr(cli, "run", refuse)
    with pytest.raises(UsageError, match="no recipe"):
        demo.demo(out=tmp_path / "out")
    assert not (tmp_path / "out" / "report.html").exists()


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExists, match="exists already"):
        demo.demo(out=tmp_path)
    with pytest.raises(OutputExists, match="no earlier demo"):
        demo.demo(out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_an_earlier_demo_is_replaced_when_asked_to(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_json(out / "demo.json", {})
    (out / "old.txt").write_text("old")
    monkeypatch.setattr(cli, "run", lambda argv: None)
    monkeypatch.setattr("goodviews.hub.demo.page.write_report", lambda folder: folder / "report.html")
    demo.demo(out=out, overwrite=True)
    assert not (out / "old.txt").exists()


# ---------------------------------------------------------------- the page


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
    text = write_report(finished).read_text()
    page = Page(text)
    assert page.fetched
    assert all(source.startswith("data:image/") for source in page.fetched)
    assert not page.nameless
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)


def test_page_shows_the_numbers_of_the_runs(finished):
    text = write_report(finished).read_text()
    for shown in ("71.7\u00a0%", "65.2\u00a0%", "AP50 23.4\u00a0%", "3.1e-07", "1234567", "$HOME/weird &amp; name"):
        assert shown in text, shown


def test_page_says_when_the_intervals_overlap(finished):
    assert "cannot tell them apart" in write_report(finished).read_text()


def test_page_does_not_sell_a_passing_dip_of_the_loss_as_learning(finished):
    metrics = finished / "pretrain" / "metrics.jsonl"
    assert "is hardly skill" not in write_report(finished).read_text()
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    for line in lines[60:-1]:
        line["contrast"] = 4.15
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = write_report(finished).read_text()
    assert "matched hardly better than by guessing. The dip before is hardly skill" in text


def test_page_of_an_unfinished_demo_is_refused_in_a_sentence(finished):
    (finished / "onnx" / "export.json").unlink()
    with pytest.raises(DataError, match=r"export.json is missing: the demo did not finish"):
        write_report(finished)
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
    _measured(
        tmp_path / "transfer" / "detection",
        "voc-detection-smoke",
        {"AP50": 23.4, "AP50_low": 9.9, "AP50_high": 40.2, "AP": 9.8},
    )
    _photo(tmp_path / "transfer" / "detection" / "samples.png")
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
    losses = [{"step": i, "contrast": 4.1 - i / 45, "jigsaw": 4.3 - i / 60, "time_s": i / 2} for i in range(1, 91)]
    lines = [{"step": 0, "knn_top1": 40.0}, *losses, {"step": 90, "knn_top1": 55.0}]
    (run / "encoder").mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = describe(replace(infomin_demo(), batch_size=32, memory=Queue(64)))
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


# ---------------------------------------------------------------- charts


def test_round_numbers_span_what_they_are_asked_to():
    assert round_numbers(0.3, 4.2, count=4) == [0, 1, 2, 3, 4, 5]
    assert round_numbers(1, 90, count=5) == [0, 20, 40, 60, 80, 100]
    assert round_numbers(2.0, 2.0, count=4)[0] <= 2.0


def test_a_falling_curve_falls_on_the_page():
    chart = line_chart([1, 2, 3], {"loss": [4.0, 2.0, 0.0]}, level=4.0)
    heights = [float(point.split(",")[1]) for point in chart.lines[0].points.split()]
    assert heights == sorted(heights)
    assert chart.lines[0].points.startswith("0.00,")
    assert chart.lines[0].points.split()[-1].startswith("100.00,")
    assert chart.level_at == heights[0]


def test_labels_of_curves_that_end_together_are_written_apart():
    first, second = line_chart([1, 2], {"a": [4.0, 1.0], "b": [3.0, 1.0]}).lines
    assert second.end_at - first.end_at >= 8


def test_running_mean_starts_with_the_first_value():
    assert running_mean([4.0, 2.0, 0.0, 0.0], 2) == [4.0, 3.0, 1.0, 0.0]


def test_guessing_level_is_the_logarithm_of_the_choices(finished):
    assert f"ln 65 = {math.log(65):.2f}" in re.sub(r"\s+", " ", write_report(finished).read_text())
