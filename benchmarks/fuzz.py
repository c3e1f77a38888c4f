"""Files of others, damaged at random: every one is read or refused in one sentence, and none makes code run.

    python benchmarks/fuzz.py [--files 500] [--seed 0] [--out fuzz.json]

An encoder folder, one in timm's form, an index, a report, predictions, photos of every kind and labels in the layouts
of VOC and COCO are written; then one file at a time is changed (bytes flipped, cut, repeated or moved; values of JSON
replaced by odd ones) and read. Counted are files that were read, files
that were refused, and failures: any other exception, a sentence of several lines, and whatever starts a process, opens
a connection or unpickles a name meanwhile. Exits with status 1 if there is a failure.
"""

import argparse
import json
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.models import save_for_hf

from goodviews.export.index.about import About
from goodviews.export.index.change import Entry, filling
from goodviews.export.index.image_index import load as load_index
from goodviews.hub.artifact import load, save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import GoodviewsError
from goodviews.hub.files.csv_tables import read_csv, write_csv
from goodviews.hub.identity import EncoderId
from goodviews.hub.images import as_photo
from goodviews.hub.preprocessing import Preprocessing
from goodviews.hub.pretrained import from_pretrained
from goodviews.hub.reports.provenance import hardware
from goodviews.hub.reports.report import Evidence, Protocol, Report, load_report, save_report
from goodviews.pretrain.data.decode import read_crops
from goodviews.pretrain.views.view import RandomResizedCrop
from goodviews.transfer.datasets import coco, voc

CODE = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pickle.find_class"}
ODD = (None, True, "", "x" * 10_000, [], {}, -1, 0, 1e400, float("nan"), 10**30, 10**7, "../../etc/passwd", "\x1b[2J")


@dataclass
class Outcome:
    """What became of the files; `failures` should be empty."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    grown_mb: float = 0.0  # how much the process's peak of memory has grown


_events: list[str] = []
_is_watching = [False]


def main() -> None:
    """Damage, read, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the counts here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(Path(folder), files=given.files, seed=given.seed)
    for failure in outcome.failures:
        print(failure)
    print(f"{dict(outcome.counts)}, {len(outcome.failures)} failures, peak of memory + {outcome.grown_mb:.0f} MB")
    if given.out is not None:
        figures = {"counts": outcome.counts, "failures": outcome.failures, "grown_mb": outcome.grown_mb}
        given.out.write_text(json.dumps(figures | {"hardware": hardware(), "seed": given.seed}, indent=1), "utf-8")
    sys.exit(bool(outcome.failures))


def fuzz(folder: Path, *, files: int, seed: int) -> Outcome:
    """Damage `files` files, one after the other, in a copy of what `write_all` writes."""
    whole, outcome, drawn = folder / "whole", Outcome(), random.Random(seed)
    targets = write_all(whole)
    before = _peak_mb()
    for number in range(files):
        copy = folder / "damaged"
        shutil.copytree(whole, copy)
        name, read = drawn.choice(targets)
        damage(copy / name, drawn)
        what = f"file {number} of seed {seed}, {name}"
        with watched() as events:
            outcome.counts[_try(read, copy, what, outcome)] += 1
        outcome.failures += [f"{what}: {event}" for event in events]
        shutil.rmtree(copy)
    outcome.grown_mb = _peak_mb() - before
    return outcome


def write_all(folder: Path) -> list[tuple[str, Callable[[Path], object]]]:
    """The files that are damaged, and how the folder that holds them is read."""
    torch.manual_seed(0)
    backbone = build_backbone("resnet18_cifar", width=1 / 64)
    encoder = Encoder(backbone, Preprocessing(32, 0.9), Origin("tiny", recipe={"name": "made_up"}))
    save(encoder, folder / "encoder")
    identity = encoder.id
    rows = np.random.default_rng(0).normal(size=(5, encoder.num_features)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (folder / "index").mkdir()
    with filling(folder / "index", About(identity, "gone", "torch", folder)) as change:
        change.insert([Entry(1, f"{i}.jpg", size=i) for i in range(5)], rows)
    report = Report(
        protocol=Protocol("knn", 1, {"k": 20}),
        encoder=EncoderId("tiny", "resnet18_cifar", identity.weights_sha256),
        dataset={"name": "made up", "digest": "0" * 64},
        metrics={"top1": 50.0},
        primary="top1",
        description={"metric": "top-1 accuracy, %"},
        engine="torch 2",
        seed=0,
        evidence=Evidence(),
    )
    save_report(report, folder / "report.json")

    def read_index(place: Path) -> None:
        opened = load_index(place / "index")
        opened.search(rows[:1], 1, encoder=identity)
        for item in opened.items:
            opened.locate(item)
        opened.vectors_of([item.id for item in opened.items])

    def read_encoder(place: Path) -> None:
        load(place / "encoder", verify=False)

    def read_report(place: Path) -> None:
        load_report(place / "report.json")

    def read_predictions(place: Path) -> None:
        read_csv(place / "predictions.csv")

    write_csv(
        folder / "predictions.csv", ("path", "label", "predicted"), [(f"{i}.jpg", "cat", "dog") for i in range(5)]
    )
    names = {"config.json": read_encoder, "model.safetensors": read_encoder}
    targets: list[tuple[str, Callable[[Path], object]]] = [(f"encoder/{name}", read) for name, read in names.items()]
    targets += [(f"index/{name}", read_index) for name in ("index.json", "index.sqlite", "vectors-000001.npy")]
    targets += [("report.json", read_report), ("predictions.csv", read_predictions)]
    return [*targets, *write_timms(folder), *write_photos(folder), *write_labels(folder)]


Target = tuple[str, Callable[[Path], object]]


def write_timms(folder: Path) -> list[Target]:
    """A folder in timm's form: its config.json."""
    model = timm.create_model("test_resnet", num_classes=3)
    save_for_hf(model, folder / "timms", safe_serialization=True)
    return [("timms/config.json", lambda place: from_pretrained(place / "timms"))]


def write_photos(folder: Path) -> list[Target]:
    """Small pictures in every format and depth."""
    draw = np.random.default_rng(0)
    photo = Image.fromarray(draw.integers(0, 255, (24, 32, 3), np.uint8))
    deep = Image.fromarray(draw.integers(0, 65535, (24, 32)).astype(np.uint16))
    pictures = {f"photo.{kind}": photo for kind in ("jpg", "png", "webp", "gif", "bmp", "tif", "ppm", "jp2")}
    pictures |= {"deep.png": deep, "deep.tif": deep, "clear.png": photo.convert("RGBA"), "few.png": photo.convert("P")}
    pictures["real.tif"] = Image.fromarray(draw.random((24, 32), np.float32))
    (folder / "photos").mkdir()
    targets: list[Target] = []
    crop = RandomResizedCrop(8, (0.5, 1.0))
    for name, picture in pictures.items():
        picture.save(folder / "photos" / name)

        def read(place: Path, name: str = name) -> None:
            read_crops(place / "photos" / name, [crop], [np.full(crop.width, 0.5)])
            as_photo(place / "photos" / name, values=(0, 65535))

        targets.append((f"photos/{name}", read))
    return targets


def write_labels(folder: Path) -> list[Target]:
    """One photo in the layout of VOC, and one in that of COCO, for each part."""
    year, photo = folder / "voc" / "VOC2007", Image.new("RGB", (32, 24))
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>21</ymax></bndbox>"
    size = "<size><width>32</width><height>24</height></size>"
    for name, split in (("a", "trainval"), ("b", "test")):
        for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (year / part).mkdir(parents=True, exist_ok=True)
        photo.save(year / "JPEGImages" / f"{name}.jpg")
        text = f"<annotation>{size}<object><name>cat</name>{box}</object></annotation>"
        head = '<?xml version="1.0" encoding="utf-8"?>'
        (year / "Annotations" / f"{name}.xml").write_text(head + text, "utf-8")
        (year / "ImageSets" / "Main" / f"{split}.txt").write_text(name + "\n", "utf-8")
    thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 18, 18], "area": 324, "iscrowd": 0}
    thing |= {"segmentation": [[2, 3, 20, 3, 20, 21]]}
    for part in ("train", "val"):
        (folder / "coco" / part).mkdir(parents=True)
        photo.save(folder / "coco" / part / f"{part}.jpg")
        images = [{"id": 1, "file_name": f"{part}.jpg", "width": 32, "height": 24}]
        labels = {"images": images, "annotations": [thing], "categories": [{"id": 1, "name": "cat"}]}
        (folder / "coco" / part / f"{part}.json").write_text(json.dumps(labels), "utf-8")

    def read_voc(place: Path) -> None:
        voc.read_voc(place / "voc", decode=True)

    def read_coco(place: Path) -> None:
        coco.read_coco(place / "coco", needs_masks=True, decode=True)

    marked = [f"voc/VOC2007/{part}" for part in ("Annotations/a.xml", "ImageSets/Main/test.txt", "JPEGImages/a.jpg")]
    return [
        *((name, read_voc) for name in marked),
        ("coco/train/train.json", read_coco),
        ("coco/val/val.json", read_coco),
    ]


def damage(file: Path, drawn: random.Random) -> None:
    """Change a file in one of several ways."""
    if file.suffix == ".json" and drawn.random() < 0.6:
        content = json.loads(file.read_text("utf-8"))
        for _ in range(drawn.randint(1, 2)):
            holder, key = drawn.choice(list(_places(content)))
            holder[key] = drawn.choice(ODD)  # type: ignore[index]
        file.write_text(json.dumps(content), "utf-8")
        return
    content, at = bytearray(file.read_bytes()), drawn.randrange(file.stat().st_size)
    if drawn.random() < 0.5:
        at = min(at, drawn.randrange(200))  # heads decide most
    length = drawn.randint(1, 40)
    way = drawn.choice(("flip", "cut", "repeat", "remove", "fill"))
    if way == "flip":
        content[at] ^= 1 << drawn.randrange(8)
    elif way == "cut":
        del content[at:]
    elif way == "repeat":
        content[at:at] = content[at : at + length]
    elif way == "remove":
        del content[at : at + length]
    else:
        content[at : at + length] = bytes([drawn.choice((0, 255, 91, 34))]) * length
    file.write_bytes(content)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What happens in the block that only code does."""
    _events.clear()
    _is_watching[0] = True
    found: list[str] = []
    try:
        yield found
    finally:
        _is_watching[0] = False
        found += _events


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _is_watching[0] and event in CODE:
        _events.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_hear)


def _try(read: Callable[[Path], object], copy: Path, what: str, outcome: Outcome) -> str:
    try:
        read(copy)
    except GoodviewsError as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            outcome.failures.append(f"{what}: {error}")
        return "refused"
    except Exception as error:  # that is what is looked for
        outcome.failures.append(f"{what}: {type(error).__name__}: {error}")
        return "traceback"
    return "read"


def _places(value: object) -> Iterator[tuple[object, object]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield value, key
        yield from _places(part)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
