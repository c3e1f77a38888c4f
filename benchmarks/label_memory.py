"""How long labels in COCO's format take to read, and how much memory they take in one process and in several.

    python benchmarks/label_memory.py --photos 118287 --processes 8 --rounds 3 [--out labels.json]

Makes a file of labels like train2017's (seven objects a photo, polygons of about 24 corners, one in a hundred a crowd
in run lengths), whose photos are links to a few small files. goodviews and pycocotools read it in turn, each in a new
process. Of goodviews, one process reads and hands the photos to the others, as training does; with pycocotools each
process reads, so one is measured and counted as often. Seconds are of the processor. Memory is the proportional set
size (PSS), of which a page that processes share counts once for all of them, after every object was looked at.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from PIL import Image

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.transfer.datasets.coco_labels import read_labels
from goodviews.transfer.datasets.coco_layout import Split
from goodviews.transfer.datasets.labelled_photos import size_problem
from goodviews.transfer.datasets.photo_table import PhotoTable

SIZE = (640, 480)
OBJECTS_A_PHOTO, CLASSES, DIFFERENT = 7.2, 80, 2_000
LINKS = 30_000  # of one file; file systems have a limit
_NEW = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=10_000, help="train2017 has 118,287")
    parser.add_argument("--processes", type=int, default=4, help="that use the labels at once")
    parser.add_argument("--rounds", type=int, default=1, help="how often both read, in turn")
    parser.add_argument("--folder", type=Path, help="for the file and the photos; by default a temporary one")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        figures = measure(make_labels(place, given.photos), given.processes, given.rounds)
    finally:
        shutil.rmtree(place)
    show(figures)
    if given.out is not None:
        given.out.write_text(json.dumps(figures, indent=1), "utf-8")


def measure(labels: Path, processes: int, rounds: int) -> dict[str, Any]:
    """The figures of every round, and the median of each."""
    found: dict[str, list[dict[str, Any]]] = {"goodviews": [], "pycocotools": []}
    for _ in range(rounds):
        found["goodviews"].append(_in_new_process(measure_ours, labels, processes))
        found["pycocotools"].append(_in_new_process(measure_pycocotools, labels, processes))
    ratios = [ours["labels_s"] / theirs["labels_s"] for ours, theirs in zip(*found.values())]
    return {
        "file_mb": labels.stat().st_size / 1e6,
        "processes": processes,
        "medians": {
            reader: {key: median(one[key] for one in rows) for key in rows[0]} for reader, rows in found.items()
        },
        "rounds": found,
        "times_pycocotools_s": median(ratios),
        "hardware": hardware(),
        "commit": commit(),
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    ours, theirs = figures["medians"]["goodviews"], figures["medians"]["pycocotools"]
    print(f"{figures['file_mb']:,.0f} MB of labels, {ours['photos']:,.0f} photos, {ours['objects']:,.0f} objects")
    print(f"{figures['hardware']}\n")
    print(f"{'':34}{'goodviews':>12}{'pycocotools':>14}")
    print(f"{'to read the labels':34}{ours['labels_s']:>10.1f} s{theirs['labels_s']:>12.1f} s")
    print(f"{'and to open each photo':34}{ours['photos_s']:>10.1f} s{'':>12}")
    print(f"{'most memory while reading':34}{ours['peak_mb']:>9,.0f} MB{theirs['peak_mb']:>11,.0f} MB")
    print(f"{'memory, 1 process':34}{ours['alone_mb']:>9,.0f} MB{theirs['alone_mb']:>11,.0f} MB")
    several = f"memory, {figures['processes']} processes"
    print(f"{several:34}{ours['together_mb']:>9,.0f} MB{theirs['together_mb']:>11,.0f} MB")


def make_labels(folder: Path, photos: int) -> Path:
    """Writes FOLDER/instances_train.json and the photos that it names."""
    random = np.random.default_rng(0)
    tails = [_object(random, is_crowd=place % 100 == 0) for place in range(DIFFERENT)]
    counts = random.poisson(OBJECTS_A_PHOTO, photos)
    images = [{"id": n, "file_name": f"{n:012}.jpg", "width": SIZE[0], "height": SIZE[1]} for n in range(1, photos + 1)]
    for number, image in enumerate(images):
        first = folder / images[number // LINKS * LINKS]["file_name"]
        if number % LINKS:
            os.link(first, folder / image["file_name"])
        else:
            Image.new("RGB", SIZE).save(first)
    labels = folder / "instances_train.json"
    with labels.open("w", encoding="utf-8") as file:
        file.write(f'{{"images": {json.dumps(images)}, "annotations": [')
        owners, kinds = np.repeat(np.arange(1, photos + 1), counts), random.integers(DIFFERENT, size=counts.sum())
        for number, (image, kind) in enumerate(zip(owners.tolist(), kinds.tolist())):
            file.write(f'{", " if number else ""}{{"id": {number}, "image_id": {image}, {tails[kind]}')
        names = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
        file.write(f'], "categories": {json.dumps(names)}}}')
    return labels


def measure_ours(labels: Path, processes: int) -> dict[str, Any]:
    """Reads, then hands the photos to the other processes."""
    before, split, problems = _pss_mb(), Split("train", labels, labels.parent), list[str]()
    begin = time.process_time()
    content = read_labels(split, problems, is_trained_on=True)
    whole_s = time.process_time() - begin
    assert content is not None, problems[:3]
    assert not problems, problems[:3]
    photos = content.photos
    begin = time.process_time()
    for path in photos.paths():
        size_problem(path, SIZE, named_by="", sized_by="")
    photos_s = time.process_time() - begin
    peak_mb = _peak_mb()
    _look_at_all(photos)
    alone_mb = _pss_mb() - before
    return {
        "photos": len(photos),
        "objects": len(photos.objects),
        "labels_s": whole_s - photos_s,
        "photos_s": photos_s,
        "peak_mb": peak_mb - before,
        "alone_mb": alone_mb,
        "together_mb": _pss_of_all(photos, processes - 1) - before,
    }


def measure_pycocotools(labels: Path, processes: int) -> dict[str, Any]:
    """Reads and looks at all."""
    from pycocotools.coco import COCO

    before, begin = _pss_mb(), time.process_time()
    labelled = COCO(str(labels))
    labels_s, peak_mb = time.process_time() - begin, _peak_mb()
    sum(len(things) for things in labelled.imgToAnns.values())
    alone_mb = _pss_mb() - before
    memory = {"peak_mb": peak_mb - before, "alone_mb": alone_mb, "together_mb": processes * alone_mb}
    return {"photos": len(labelled.imgs), "objects": len(labelled.anns), "labels_s": labels_s, **memory}


def _pss_of_all(photos: PhotoTable, users: int) -> float:
    """What this process and so many more take when all hold the photos, megabytes; of those, beyond what they had."""
    pipes = [_NEW.Pipe() for _ in range(users)]
    started = [_NEW.Process(target=_use, args=(theirs,)) for _, theirs in pipes]
    for process, (ours, _) in zip(started, pipes):
        process.start()
        ours.recv()
    for ours, _ in pipes:
        ours.send(photos)
    for ours, _ in pipes:
        ours.recv()  # it has looked at everything
    for ours, _ in pipes:
        ours.send("measure")
    taken = sum(ours.recv() for ours, _ in pipes) + _pss_mb()  # while all have the pages that they share
    for process, (ours, _) in zip(started, pipes):
        ours.send("end")
        process.join()
    return float(taken)


def _use(pipe: Connection) -> None:
    before = _pss_mb()
    pipe.send("started")
    photos = pipe.recv()
    _look_at_all(photos)
    pipe.send("ready")
    pipe.recv()
    pipe.send(_pss_mb() - before)
    pipe.recv()


def _look_at_all(photos: PhotoTable) -> None:
    for place in range(0, len(photos), 100):  # as a loader does, one after the other
        assert photos[place].id
    for array in photos.arrays.values():
        assert array.sum() is not None  # every page


def _object(random: np.random.Generator, *, is_crowd: bool) -> str:
    """An annotation's text from its category on."""
    left, top, width, height = random.uniform(5, 200, 4).round(2).tolist()
    entry: dict[str, Any] = {"category_id": int(random.integers(1, CLASSES + 1)), "iscrowd": int(is_crowd)}
    entry |= {"bbox": [left, top, width, height], "area": round(width * height, 4)}
    if is_crowd:
        runs = random.integers(1, 1_000, 400)
        counts = [*runs.tolist(), SIZE[0] * SIZE[1] - int(runs.sum())]
        entry["segmentation"] = {"counts": counts, "size": [SIZE[1], SIZE[0]]}
    else:
        corners = 4 + random.poisson(20)
        xy = random.uniform((left, top), (left + width, top + height), (corners, 2))
        entry["segmentation"] = [xy.round(2).ravel().tolist()]
    return json.dumps(entry)[1:]


def _in_new_process(function: Any, *arguments: Any) -> dict[str, Any]:
    pipe, theirs = _NEW.Pipe()
    process = _NEW.Process(target=_send_result, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    result: dict[str, Any] = pipe.recv()
    process.join()
    return result


def _send_result(pipe: Connection, function: Any, arguments: Any) -> None:
    pipe.send(function(*arguments))


def _pss_mb() -> float:
    return float(psutil.Process().memory_full_info().pss) / 1e6


def _peak_mb() -> float:
    """The most that this process has taken so far."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
