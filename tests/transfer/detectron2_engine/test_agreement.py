"""The same detections, scored by this project's evaluators and by detectron2's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.evaluation.voc import voc_scores

pytestmark = [
    pytest.mark.detectron2,
    pytest.mark.usefixtures("detectron2_engine"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

CLASSES = ("blue", "green", "red")
WIDTH, HEIGHT = 96, 72


@pytest.fixture(scope="module")
def scene() -> tuple[list[LabelledPhoto], list[Detections]]:
    """Twelve photos, one of them empty, and detections: near the objects, beside them, of the wrong class, twice."""
    random = np.random.default_rng(4)
    photos, found = [], []
    for number in range(1, 13):
        boxes = [random_box(random) for _ in range(0 if number == 5 else random.integers(1, 5))]
        things = [
            LabelledObject(
                str(random.choice(CLASSES)), box, is_difficult=bool(random.random() < 0.2), mask=(outline(box),)
            )
            for box in boxes
        ]
        photos.append(LabelledPhoto(f"{number:06}", Path(f"{number:06}.jpg"), WIDTH, HEIGHT, tuple(things)))
        moved = [np.array(thing.box) + random.normal(0, 2, 4) for thing in things for _ in range(2)]
        names = [thing.name if random.random() < 0.8 else "red" for thing in things for _ in range(2)]
        moved, names = [*moved, np.array(random_box(random))], [*names, "green"]
        boxes = np.clip(moved, 0, [WIDTH, HEIGHT] * 2).astype(np.float32)
        scores = np.sort(random.random(len(boxes)).astype(np.float32))[::-1]
        found.append(Detections(photos[-1].id, boxes, scores, tuple(names)))
    return photos, found


def random_box(random: np.random.Generator) -> tuple[float, float, float, float]:
    left, top = random.integers(0, 50, 2).tolist()
    return (
        float(left),
        float(top),
        float(left + random.integers(6, 46)),
        float(min(top + random.integers(6, 46), HEIGHT)),
    )


def outline(box: tuple[float, ...]) -> tuple[float, ...]:
    left, top, right, bottom = box
    return (left, top, right, top, right, bottom, left, bottom)


def test_voc_numbers_are_those_of_detectron2(scene, tmp_path: Path):
    from detectron2.data import MetadataCatalog
    from detectron2.evaluation import PascalVOCDetectionEvaluator

    photos, found = scene
    for photo in photos:
        write_annotation(tmp_path / "Annotations" / f"{photo.id}.xml", photo)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("".join(f"{photo.id}\n" for photo in photos))
    name = f"squares {tmp_path}"
    MetadataCatalog.get(name).set(dirname=str(tmp_path), split="test", year=2007, thing_classes=list(CLASSES))
    evaluator = PascalVOCDetectionEvaluator(name)
    evaluator.reset()
    evaluator.process([{"image_id": one.photo_id} for one in found], [{"instances": instances(one)} for one in found])
    theirs = evaluator.evaluate()["bbox"]
    ours = voc_scores(found, photos, CLASSES)
    assert 5 < theirs["AP"] < 95
    assert [ours.ap, ours.ap50, ours.ap75] == pytest.approx([theirs[key] for key in ("AP", "AP50", "AP75")], abs=1e-9)


@pytest.mark.parametrize(("kind", "key"), [("boxes", "bbox"), ("masks", "segm")])
def test_coco_numbers_are_those_of_detectron2(scene, tmp_path: Path, kind: Any, key: str):
    pytest.importorskip("faster_coco_eval")
    from detectron2.data import DatasetCatalog
    from detectron2.data.datasets import register_coco_instances
    from detectron2.evaluation import COCOEvaluator

    from goodviews.transfer.datasets.masks import encode
    from goodviews.transfer.evaluation.coco import coco_scores

    photos = [as_coco(photo) for photo in scene[0]]
    masks = [[drawn(box) for box in one.boxes] for one in scene[1]]
    found = [replace(one, masks=tuple(map(encode, some))) for one, some in zip(scene[1], masks)]
    path, name = tmp_path / "instances.json", f"squares {tmp_path}"
    path.write_text(json.dumps(coco_file(photos)))
    register_coco_instances(name, {}, str(path), str(tmp_path))
    DatasetCatalog.get(name)  # only now does it know the numbers of the classes
    evaluator = COCOEvaluator(name, tasks=(key,), distributed=False, output_dir=str(tmp_path / "out"))
    evaluator.reset()
    evaluator.process(
        [{"image_id": int(one.photo_id)} for one in found],
        [{"instances": instances(one, some)} for one, some in zip(found, masks)],
    )
    theirs = evaluator.evaluate()[key]
    ours = coco_scores(found, photos, CLASSES, kind=kind)
    assert 5 < theirs["AP"] < 95
    wanted = {metric: theirs[metric] for metric in ours.values}
    assert ours.values == pytest.approx(wanted, abs=1e-9)
    assert ours.per_class == pytest.approx({name: theirs[f"AP-{name}"] for name in CLASSES}, abs=1e-9)


def instances(one: Detections, masks: list[np.ndarray] | None = None) -> Any:
    """As detectron2's networks return them."""
    from detectron2.structures import Boxes, Instances

    fields = {
        "pred_boxes": Boxes(torch.tensor(one.boxes)),
        "scores": torch.tensor(one.scores.copy()),
        "pred_classes": torch.tensor([CLASSES.index(name) for name in one.names]),
    }
    if masks is not None:
        fields["pred_masks"] = torch.tensor(np.stack(masks)).bool()
    return Instances((HEIGHT, WIDTH), **fields)


def drawn(box: np.ndarray) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    left, top, right, bottom = np.round(box).astype(int)
    pixels[top:bottom, left:right] = 1
    return pixels


def as_coco(photo: LabelledPhoto) -> LabelledPhoto:
    """COCO knows no difficult objects; the first object of every fourth photo becomes a crowd."""
    things = [replace(thing, is_difficult=False, area=area_of(thing.box)) for thing in photo.objects]
    if things and int(photo.id) % 4 == 0:
        things[0] = replace(things[0], is_crowd=True)
    return replace(photo, objects=tuple(things))


def area_of(box: tuple[float, ...]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def coco_file(photos: list[LabelledPhoto]) -> dict[str, Any]:
    annotations = []
    for photo in photos:
        for thing in photo.objects:
            left, top, right, bottom = thing.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(photo.id),
                    "category_id": CLASSES.index(thing.name) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": thing.area,
                    "iscrowd": int(thing.is_crowd),
                    "segmentation": [list(outline(thing.box))],
                }
            )
    images = [{"id": int(p.id), "file_name": p.path.name, "width": p.width, "height": p.height} for p in photos]
    categories = [{"id": place, "name": name} for place, name in enumerate(CLASSES, start=1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def write_annotation(path: Path, photo: LabelledPhoto) -> None:
    path.parent.mkdir(exist_ok=True)
    objects = ""
    for thing in photo.objects:
        xmin, ymin, xmax, ymax = (int(edge) for edge in thing.box)
        corners = f"<xmin>{xmin + 1}</xmin><ymin>{ymin + 1}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
        objects += (
            f"<object><name>{thing.name}</name><pose>Left</pose><truncated>0</truncated>"
            f"<difficult>{int(thing.is_difficult)}</difficult><bndbox>{corners}</bndbox></object>"
        )
    path.write_text(f"<annotation>{objects}</annotation>")
