"""Train a detector on boxes of your own, from an encoder, and look for objects with it.

    python examples/detector_on_own_boxes.py OUT [VOCdevkit] [ITERATIONS]

The labels are in VOC's layout (VOC2007/Annotations, JPEGImages, ImageSets/Main); without a folder, the bundled
raccoons. Six iterations only show that it works; several hundred and more begin to find things.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from goodviews.hub import from_pretrained
from goodviews.transfer import TASKS, load_detector

BUNDLED = Path(str(files("goodviews.hub"))) / "photos"


def main(out: Path, data: Path | None = None, iterations: int = 6) -> Path:
    """Train, score and detect; returns the run's folder."""
    data = data or lay_out_raccoons(out / "VOCdevkit")
    changes = [
        f"iterations={iterations}",
        f"lr_steps={iterations - 1}",
        "warmup_iterations=2",
        "precise_bn_iterations=2",
    ]
    task = TASKS["voc-detection-smoke"]().with_changes(changes)
    report = task.run(from_pretrained("goodviews:mini"), data, out / "run")
    print(f"{report.primary}: {report.metrics[report.primary]:.1f} %")
    detector = load_detector(out / "run")
    photo = sorted((data / "VOC2007" / "JPEGImages").glob("*.jpg"))[0]
    found = detector.detect(photo)
    for box, score, name in list(zip(found.boxes, found.scores, found.names))[:3]:
        print(f"{score:.2f}  {name}  {[round(float(edge)) for edge in box]}  {photo.name}")
    return out / "run"


def lay_out_raccoons(folder: Path) -> Path:
    """The bundled raccoons with their boxes, in VOC's layout."""
    shutil.copytree(BUNDLED / "VOCdevkit", folder)
    photos = folder / "VOC2007" / "JPEGImages"
    photos.mkdir()
    for boxes in (folder / "VOC2007" / "Annotations").glob("*.xml"):
        shutil.copy(next(BUNDLED.glob(f"*/*/{boxes.stem}.jpg")), photos)
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(Path, sys.argv[2:3]), *map(int, sys.argv[3:4]))
