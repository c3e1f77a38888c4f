"""Files in COCO's format, read entry by entry: the labels are pycocotools', and whatever else comes is a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from goodviews.hub.errors import DataError
from goodviews.transfer.datasets import coco_file
from goodviews.transfer.datasets.coco_file import read_file
from goodviews.transfer.datasets.coco_labels import CocoLabels, read_labels
from goodviews.transfer.datasets.coco_layout import Split
from goodviews.transfer.datasets.masks import compress, decode

WIDTH, HEIGHT = 40, 30
OUTLINE = [2, 3, 20.5, 3, 20.5, 18.25, 2, 18]
RUNS = [WIDTH * HEIGHT - 100, 60, 20, 20]
PHOTOS = {9: "nine.jpg", 2**40: "b/large.jpg", -3: "minus.jpg", 0: "ä.jpg"}  # in this order in the file
CATEGORIES = [{"id": 70, "name": "owl"}, {"id": -1, "name": "cat"}, {"id": 3, "name": "dog"}]


def annotation(number: int, image: int, category: int, **other: Any) -> dict[str, Any]:
    usual = {"bbox": [2, 3, 18.5, 15.25], "area": 280.125, "iscrowd": 0, "segmentation": [OUTLINE]}
    return {"id": number, "image_id": image, "category_id": category, **usual, **other}


ANNOTATIONS = [
    annotation(5, 0, 3),
    annotation(2**50, 9, 70, segmentation=[OUTLINE, [25, 5, 35, 5, 35, 25.5]]),
    annotation(-7, 9, 3, iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": RUNS}),
    annotation(1, 2**40, -1, segmentation={"size": [HEIGHT, WIDTH], "counts": compress(RUNS, HEIGHT, WIDTH).counts}),
    annotation(0, 9, -1, bbox=[0.1, 0.2, 1e-3, 29.7], area=7),
    annotation(3, 0, 70, keypoints=[1, 2, 2], num_keypoints=1),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    for name in PHOTOS.values():
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
    return tmp_path


def content(**other: Any) -> dict[str, Any]:
    images = [
        {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, "license": 3}
        for number, name in PHOTOS.items()
    ]
    return {"info": {"year": 2017}, "images": images, "annotations": ANNOTATIONS, "categories": CATEGORIES, **other}


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "train.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def labels(path: Path, **options: Any) -> CocoLabels:
    problems: list[str] = []
    read = read_labels(Split("train", path, path.parent), problems, **{"is_trained_on": False, **options})
    assert problems == []
    assert read is not None
    return read


def test_labels_are_those_of_pycocotools(folder: Path):
    coco = pytest.importorskip("pycocotools.coco", reason="compares to pycocotools")
    path = write(folder, json.dumps(content()))
    theirs, ours = coco.COCO(str(path)), labels(path)
    assert [photo.id for photo in ours.photos] == [str(number) for number in sorted(theirs.getImgIds())]
    names = {category["id"]: category["name"] for category in theirs.loadCats(theirs.getCatIds())}
    assert ours.names == names
    for photo in ours.photos:
        [image] = theirs.loadImgs(int(photo.id))
        assert (photo.path, photo.width, photo.height) == (folder / image["file_name"], image["width"], image["height"])
        entries = theirs.loadAnns(theirs.getAnnIds(imgIds=image["id"]))
        assert len(photo.objects) == len(entries)
        for thing, entry in zip(photo.objects, entries):
            x, y, width, height = entry["bbox"]
            assert thing.box == (x, y, x + width, y + height)
            assert (thing.name, thing.area) == (names[entry["category_id"]], entry["area"])
            assert thing.is_crowd == bool(entry["iscrowd"])
            np.testing.assert_array_equal(decode(thing.mask, HEIGHT, WIDTH), theirs.annToMask(entry))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(content(), indent=3),
        json.dumps(dict(reversed(content().items())), separators=(",", ":")),
        json.dumps(content(), ensure_ascii=False),
        json.dumps(content(), ensure_ascii=False).encode("utf-16"),
        json.dumps(content()).encode("utf-8-sig"),
        json.dumps(content())[:-1] + ', "info": 2, "images": ' + json.dumps(content()["images"]) + "}",
        json.dumps(content(annotations=[*ANNOTATIONS[:5], {**ANNOTATIONS[5], "note": float("nan")}])),
    ],
    ids=["lines", "in another order", "umlauts", "UTF-16", "byte order mark", "a key twice", "NaN where it is unused"],
)
def test_the_same_content_is_the_same_labels_however_it_is_written(folder: Path, text: str | bytes):
    usual = labels(write(folder, json.dumps(content())))
    other = labels(write(folder, text))
    assert (other.photos, other.names) == (usual.photos, usual.names)


def test_photos_alone_are_a_file_without_annotations(folder: Path):
    read = labels(write(folder, json.dumps(content(annotations=[]))))
    assert [len(photo.objects) for photo in read.photos] == [0, 0, 0, 0]


def test_a_file_cut_anywhere_is_one_sentence_that_names_it(folder: Path):
    whole = json.dumps(content())
    for end in range(0, len(whole), 13):
        path = write(folder, whole[:end])
        with pytest.raises(DataError, match=rf"^{path} is not readable as JSON \([^\n]*\)\.$"):
            read_file(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not readable as JSON"),
        ("null", "is not in COCO's format: it has no list of images"),
        ("[1, 2]", "is not in COCO's format: it has no list of images"),
        ('"images"', "is not in COCO's format: it has no list of images"),
        ('{"images": [1], "annotations": [], "categories": []}', "no list of images"),
        ('{"images": {}, "annotations": [], "categories": []}', "no list of images"),
        ('{"images": [{}], "annotations": [[]], "categories": [{}]}', "no list of annotations"),
        ('{"images": [{}], "annotations": null, "categories": [{}]}', "no list of annotations"),
        ('{"images": [{}], "annotations": []}', "no list of categories"),
        ('{"images": [{}], "annotations": [], "categories": []}', "an empty list of categories"),
        ('{"images": [{}], "annotations": [], "categories": [{}]} more', "is not readable as JSON"),
        ('{"type": "FeatureCollection", "features": [{"geometry": null}]}', "no list of images"),
        ('{"images": ' + "[" * 100_000, "is not readable as JSON"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "is not readable as JSON"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "is not readable as JSON"),
    ],
)
def test_a_file_of_something_else_is_one_sentence_that_names_it(folder: Path, text: str | bytes, sentence: str):
    path = write(folder, text)
    with pytest.raises(DataError, match=rf"^{path} [^\n]*{sentence}[^\n]*\.$"):
        read_file(path)


def test_what_cannot_be_read_is_a_sentence(folder: Path):
    with pytest.raises(DataError, match=rf"^{folder} cannot be read \(Is a directory\)\.$"):
        read_file(folder)


def test_usual_annotations_are_not_looked_at_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch):
    odd: list[int] = []
    entry = coco_file.Annotations.entry
    monkeypatch.setattr(coco_file.Annotations, "entry", lambda self, place: odd.append(place) or entry(self, place))
    labels(write(folder, json.dumps(content())))
    assert odd == [2, 3]  # run lengths


def test_a_file_that_changes_while_it_is_read_is_a_sentence(folder: Path):
    path = write(folder, json.dumps(content()))
    annotations = read_file(path).annotations
    assert annotations.entry(2) == ANNOTATIONS[2], "the text of what is not plain is at hand"
    path.write_text("{}")
    with pytest.raises(DataError, match=rf"^{path} was changed while it was read; start again\.$"):
        annotations.entry(0)


@pytest.mark.parametrize("name", ["../outside.jpg", "b/../../outside.jpg", "/etc/hosts", "a\0.jpg", "x" * 300, "."])
@pytest.mark.parametrize("is_relative", [False, True])
def test_no_photo_lies_outside_the_data(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_relative: bool):
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder.parent / "outside.jpg")
    images = content()["images"]
    images[1]["file_name"] = name
    path = write(folder, json.dumps(content(images=images)))
    monkeypatch.chdir(folder)
    root = Path() if is_relative else folder
    problems: list[str] = []
    assert read_labels(Split("train", root / path.name, root), problems, is_trained_on=True) is not None
    assert len(problems) == 1
    assert "it must be a path below" in problems[0]
