"""The photos that ship with the project."""

import csv
import xml.etree.ElementTree as ElementTree

from PIL import Image

from goodviews.hub.demo import chain as demo
from goodviews.hub.sources.folders import train_and_test

REDISTRIBUTABLE = {"MIT", "CC-BY-2.0", "CC-BY-SA-2.0", "No known copyright restrictions"}


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
    paths = [*train.all_paths(), *test.all_paths()]
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
