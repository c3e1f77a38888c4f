"""A tiny encoder and tiny folders whose classes are colours."""

import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from goodviews.hub.encoder import Encoder
from goodviews.hub.errors import UsageError

from ..conftest import COLOURS


@pytest.fixture(scope="session")
def detectron2_engine() -> ModuleType:
    """The module; where detectron2 does not work the test is skipped, and says why."""
    try:
        from goodviews.transfer.detectron2_engine import engine as detectron2_engine
    except UsageError as error:
        pytest.skip(str(error))
    return detectron2_engine


@pytest.fixture(scope="session")
def exported(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder as ONNX files."""
    from goodviews.export.onnx.onnx_file import export

    return export(encoder, tmp_path_factory.mktemp("exported") / "onnx").folder


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """A folder with VOC2007: 6 trainval and 3 test photos of 96 x 72, each with a red and a blue square."""
    root = tmp_path / "squares"
    for split, count in (("trainval", 6), ("test", 3)):
        names = [f"{split}{number}" for number in range(count)]
        for number, name in enumerate(names):
            add_photo(
                root / "VOC2007", name, {"red": (5 + number, 9, 34 + number, 38), "blue": (50, 20, 89, 59 + number)}
            )
        listing = root / "VOC2007" / "ImageSets" / "Main" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in names))
    return root


def add_photo(year: Path, name: str, corners: dict[str, tuple[int, int, int, int]]) -> None:
    """Grey noise with a square of each named colour at VOC's corners, which are 1-based and inclusive."""
    pixels = np.random.default_rng(len(name)).integers(90, 160, (72, 96, 3)).astype(np.uint8)
    objects = ""
    for colour, (xmin, ymin, xmax, ymax) in corners.items():
        pixels[ymin - 1 : ymax, xmin - 1 : xmax] = COLOURS[colour]
        edges = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
        objects += f"<object><name>{colour}</name><difficult>0</difficult><bndbox>{edges}</bndbox></object>"
    for folder in ("JPEGImages", "Annotations"):
        (year / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(year / "JPEGImages" / f"{name}.jpg", quality=95)
    size = "<size><width>96</width><height>72</height></size>"
    (year / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """The squares in COCO's published layout: 6 training and 3 test photos, the last one without objects.

    Categories are 3, red, and 7, blue. The first training photo has a crowd too.
    """
    root = tmp_path / "coco"
    for split, count in (("train2017", 6), ("val2017", 3)):
        images, annotations = [], []
        for number in range(1, count + 1):
            is_empty = (split, number) == ("val2017", 3)
            add_photo(root / "voc", f"{split}{number}", {} if is_empty else _squares(number))
            images.append({"id": number, "file_name": f"{number:06}.jpg", "width": 96, "height": 72})
            annotations += [] if is_empty else [_annotation(number, *square) for square in _squares(number).items()]
            (root / split).mkdir(exist_ok=True)
            (root / "voc" / "JPEGImages" / f"{split}{number}.jpg").rename(root / split / f"{number:06}.jpg")
        if split == "train2017":
            runs = {"size": [72, 96], "counts": [72 * 90, 72 * 6]}
            crowd = {"image_id": 1, "category_id": 3, "bbox": [90, 0, 6, 72], "area": 432, "iscrowd": 1}
            annotations.append({**crowd, "segmentation": runs})
        annotations = [{**entry, "id": place} for place, entry in enumerate(annotations, start=1)]
        categories = [{"id": 7, "name": "blue"}, {"id": 3, "name": "red"}]
        (root / "annotations").mkdir(exist_ok=True)
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    shutil.rmtree(root / "voc")
    return root


def _squares(number: int) -> dict[str, tuple[int, int, int, int]]:
    return {"red": (5 + number, 9, 34 + number, 38), "blue": (50, 20, 84, 59 + number)}


def _annotation(image: int, colour: str, corners: tuple[int, int, int, int]) -> dict[str, object]:
    xmin, ymin, xmax, ymax = corners[0] - 1, corners[1] - 1, corners[2], corners[3]
    width, height = xmax - xmin, ymax - ymin
    polygon = [xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]
    about = {"image_id": image, "category_id": {"red": 3, "blue": 7}[colour], "bbox": [xmin, ymin, width, height]}
    return {**about, "area": width * height, "iscrowd": 0, "segmentation": [polygon]}
