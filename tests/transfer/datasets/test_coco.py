"""Reading COCO's format: as published and one's own, and a sentence for everything that does not fit together."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goodviews.hub.errors import DataError
from goodviews.transfer.datasets.coco import check_coco, read_coco
from goodviews.transfer.datasets.masks import decode
from goodviews.transfer.detection.photo_batches import trainable_photos


def labels(root: Path, split: str = "val2017") -> Path:
    return root / "annotations" / f"instances_{split}.json"


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_boxes_have_edges_and_classes_are_in_the_order_of_their_ids(coco_folder: Path):
    data = read_coco(coco_folder, needs_masks=True, decode=True)
    assert (data.name, data.layout, data.train_splits, data.test_split) == ("coco", "coco", ("train2017",), "val2017")
    assert (data.classes, data.category_ids) == (("red", "blue"), (3, 7))
    photo = data.test[0]
    assert (photo.id, photo.path.name, photo.width, photo.height) == ("1", "000001.jpg", 96, 72)
    assert [(thing.name, thing.box, thing.area) for thing in photo.objects] == [
        ("red", (5, 8, 35, 38), 900),
        ("blue", (49, 19, 84, 60), 1435),
    ]
    assert (len(data.train), len(data.test), data.test[2].objects) == (6, 3, ())


def test_masks_are_drawn_from_polygons_and_run_lengths(coco_folder: Path):
    photo = read_coco(coco_folder).train[0]
    assert [thing.is_crowd for thing in photo.objects] == [False, False, True]
    masks = [decode(thing.mask, photo.height, photo.width) for thing in photo.objects]
    assert [(mask.shape, mask.dtype) for mask in masks] == [((72, 96), np.uint8)] * 3
    for mask, thing in zip(masks, photo.objects):
        xmin, ymin, xmax, ymax = (int(edge) for edge in thing.box)
        assert mask.sum() == mask[ymin:ymax, xmin:xmax].sum() == (xmax - xmin) * (ymax - ymin)


def test_the_folder_above_coco_will_do_too(coco_folder: Path):
    (coco_folder.parent / "train_log.json").write_text("{}")
    assert read_coco(coco_folder.parent) == read_coco(coco_folder)


def test_ones_own_data_need_a_train_and_a_val_file_with_their_photos(coco_folder: Path, tmp_path: Path):
    own = tmp_path / "own"
    for split, name in (("train2017", "train"), ("val2017", "valid")):
        shutil.copytree(coco_folder / split, own / name)
        shutil.copy(labels(coco_folder, split), own / name / "_annotations.coco.json")
    data = read_coco(own)
    assert (data.name, data.train_splits, data.test_split, len(data.test)) == ("own", ("train",), "valid", 3)
    flat = tmp_path / "flat"
    shutil.copytree(coco_folder / "train2017", flat / "images")
    for number in (1, 2, 3):
        shutil.copy(coco_folder / "val2017" / f"{number:06}.jpg", flat / "images" / f"test{number}.jpg")
    shutil.copy(labels(coco_folder, "train2017"), flat / "my_train.json")
    shutil.copy(labels(coco_folder), flat / "my_test.json")
    edit(flat / "my_test.json", lambda c: [entry.update(file_name=f"test{entry['id']}.jpg") for entry in c["images"]])
    data = read_coco(flat)
    assert (data.train_splits, data.test_split) == (("my_train",), "my_test")


def test_training_boxes_end_with_their_photo_and_test_boxes_stay_as_labelled(coco_folder: Path):
    for split in ("train2017", "val2017"):
        edit(labels(coco_folder, split), lambda c: c["annotations"][1].update(bbox=[49, 19, 48.5, 40]))
    data = read_coco(coco_folder)
    assert [photos[0].objects[1].box for photos in (data.train, data.test)] == [(49, 19, 96, 59), (49, 19, 97.5, 59)]


def _annotation(**change: Any) -> Callable[[Path], None]:
    return lambda root: edit(labels(root), lambda c: c["annotations"][0].update(change))


def _image(**change: Any) -> Callable[[Path], None]:
    return lambda root: edit(labels(root), lambda c: c["images"][0].update(change))


def _runs(counts: Any, size: tuple[int, int] = (72, 96)) -> Callable[[Path], None]:
    return _annotation(segmentation={"size": list(size), "counts": counts})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda root: shutil.rmtree(root / "annotations"), r'no COCO labels to train on: a JSON file with "train"'),
        (lambda root: labels(root).unlink(), r'to test on: .*"val" or "test".*it has annotations/instances_train2017'),
        (lambda root: labels(root).write_text("{"), r"instances_val2017\.json is not readable as JSON"),
        (lambda root: labels(root).write_text("[]"), "not in COCO's format: it has no list of images"),
        (lambda root: edit(labels(root), lambda c: c.update(images=[])), "an empty list of images"),
        (lambda root: shutil.rmtree(root / "val2017"), r"names 000001\.jpg, which is in none of"),
        (lambda root: (root / "val2017" / "000002.jpg").unlink(), r"000002\.jpg is missing, though instances_val2017"),
        (_image(width=95), r"is 96 x 72 pixels, but instances_val2017\.json says 95 x 72"),
        (_image(height="72"), "Image 1 of .* has '72' as its height, which must be a whole number"),
        (_image(file_name="/etc/hosts"), "it must be a path below"),
        (_image(id=2), "gives the id 2 to 2 images; give each its own"),
        (_annotation(image_id=99), "Annotation 1 of .* is of image 99, which is not listed"),
        (_annotation(image_id=[1]), r"Annotation 1 of .* is of image \[1\], which must be a whole number"),
        (_annotation(image_id="1"), r"Annotation 1 of .* is of image '1', which must be a whole number"),
        (_annotation(area=[900]), r"has the area \[900\]; it must be a number"),
        (_annotation(area=10**400), "has the area 1000.*; it must be a number"),
        (_image(file_name="../../photo.jpg"), "it must be a path below"),
        (_image(file_name="a\0b.jpg"), "it must be a path below"),
        (
            _annotation(category_id=[3]),
            r"Annotation 1 of .* is of category \[3\], which is no whole number .there are: 3 red",
        ),
        (_annotation(category_id={"id": 3}), r"is of category \{'id': 3\}, which is no whole number"),
        (_annotation(category_id=5), r"is of category 5, which is not listed .there are: 3 red, 7 blue"),
        (_annotation(bbox=[5, 8, 95, 30]), r"'red' box .5, 8, 95, 30. that does not lie within its photo of 96 x 72"),
        (_annotation(bbox=[5, 8, -3, 30]), "a bbox is left, top, width, height"),
        (_annotation(bbox=[5, 8, 30]), r"has the bbox \[5, 8, 30\]; it must have 4 numbers"),
        (_annotation(bbox="5 8 30 30"), "it must be a list of numbers"),
        (_annotation(bbox=[5, 8, True, 30]), "it must be a list of numbers"),
        (_annotation(segmentation=[[1, 2, True, 4, 5, 6]]), "has something else as a polygon"),
        (
            _annotation(segmentation=[[1, 2, 3, 4]]),
            r"no mask .segmentation. for 1 of its objects, the first in image 1",
        ),
        (
            _annotation(segmentation=[[1, 2, 3, 4], "6"]),
            "has something else as a polygon; it must be a list of numbers",
        ),
        (_annotation(segmentation=[[1, 2, 300, 4, 5, 6]]), "a mask that does not lie within its photo"),
        (_annotation(segmentation=[]), r"no mask .segmentation. for 1 of its objects, the first in image 1"),
        (_runs([1, 2]), "a mask of 3 pixels; its photo has 6912"),
        (_runs("nonsense"), "run lengths|a mask of"),
        (_runs([6912], size=(96, 72)), r"a mask of height and width \[96, 72\]; its photo has \[72, 96\]"),
        (
            lambda root: edit(labels(root), lambda c: c["categories"][0].update(name="mauve")),
            "calls category 7 'mauve', instances_train2017.json calls it 'blue'",
        ),
        (
            lambda root: edit(labels(root), lambda c: c["categories"][0].update(name="red")),
            "2 categories of the name 'red'",
        ),
        (lambda root: edit(labels(root), lambda c: c.update(annotations=[])), "nothing can be measured on it"),
        (lambda root: edit(labels(root, "train2017"), lambda c: c.update(annotations=[])), "nothing can be learned"),
        (_image(file_name="../train2017/000001.jpg"), "is in both instances_train2017.json and instances_val2017.json"),
        (
            lambda root: shutil.copy(labels(root, "train2017"), root / "annotations" / "my_instances_train2017.json"),
            "several files that could be its instances_train2017 labels",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(coco_folder: Path, spoil: Callable, sentence: str):
    spoil(coco_folder)
    with pytest.raises(DataError, match=sentence):
        read_coco(coco_folder, needs_masks=True)


def test_polygons_without_three_corners_are_left_out_and_objects_of_no_others_are_not_trained_on(
    coco_folder: Path, caplog: pytest.LogCaptureFixture
):
    def shorten(content: dict[str, Any]) -> None:
        first, second = content["annotations"][2:4]  # of the second photo
        first["segmentation"].append([1, 2, 3, 4])
        second["segmentation"] = [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11]]

    whole = read_coco(coco_folder, needs_masks=True)
    assert whole.notes == ()
    edit(labels(coco_folder, "train2017"), shorten)
    data = read_coco(coco_folder, needs_masks=True)
    red, blue = data.train[1].objects
    assert (red, blue.mask) == (whole.train[1].objects[0], ())
    assert len(trainable_photos(data.train)) == 6
    assert trainable_photos(data.train)[1].objects == (red,)
    [note] = data.notes
    assert re.fullmatch(
        r"Polygons without three corners are left out of .*instances_train2017\.json: 3\. "
        r"Objects that have no other and are not trained on: 1, the first in image 2\.",
        note,
    )
    assert caplog.messages == [note]
    checked = check_coco(coco_folder, needs_masks=True)
    assert (checked.problems, checked.notes) == ((), (note,))


def test_an_object_to_be_found_needs_a_mask_only_where_masks_are_scored(coco_folder: Path):
    _annotation(segmentation=[[1, 2, 3, 4]])(coco_folder)
    data = read_coco(coco_folder)
    assert data.test[0].objects[0].mask is None
    assert data.notes == (f"Polygons without three corners are left out of {labels(coco_folder)}: 1.",)


def test_boxes_alone_will_do_where_no_masks_are_learned(coco_folder: Path):
    for split in ("train2017", "val2017"):
        edit(labels(coco_folder, split), lambda c: [entry.pop("segmentation") for entry in c["annotations"]])
    data = read_coco(coco_folder)
    assert all(thing.mask is None for photo in (*data.train, *data.test) for thing in photo.objects)
    problems = check_coco(coco_folder, needs_masks=True).problems
    assert len(problems) == 2
    assert "for 13 of its objects" in problems[0]
    assert "--set masks=false" in problems[0]


def test_the_check_lists_every_problem_also_damaged_photos(coco_folder: Path):
    assert check_coco(coco_folder, needs_masks=True).problems == ()
    _annotation(category_id=5)(coco_folder)
    edit(labels(coco_folder, "train2017"), lambda c: c["annotations"][2].update(bbox=[0, 0, 200, 200]))
    photo = coco_folder / "train2017" / "000003.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    problems = check_coco(coco_folder, needs_masks=True).problems
    assert [problem.split(" ")[0] for problem in problems] == ["Annotation", "Annotation", str(photo)]
    with pytest.raises(DataError, match="Problems beside this: 2; --check lists them"):
        read_coco(coco_folder, decode=True)
