"""A classifier from five labelled photos a class: a photo belongs to the class whose mean vector is nearest.

    python examples/few_shot_classifier.py [DATA]

DATA holds train/CLASS/*.jpg and val/CLASS/*.jpg; without it, the photos that goodviews ships. The same network without
training is measured beside it, for a score alone says little.
"""

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

from goodviews.hub import find_images, from_pretrained

BUNDLED = Path(str(files("goodviews.hub"))) / "photos"
SHOTS = 5


def main(data: Path = BUNDLED) -> dict[str, float]:
    """Print and return the accuracy in percent of the trained and of the untrained encoder."""
    accuracy = {}
    for name in ("goodviews:mini", "random:resnet18-w0.5-56px"):
        accuracy[name] = measure(name, data)
        print(f"{accuracy[name]:5.1f} %  {name}, {SHOTS} photos a class")
    return accuracy


def measure(name: str, data: Path) -> float:
    """Accuracy on val/, in percent."""
    encoder = from_pretrained(name)
    classes = sorted(folder.name for folder in (data / "train").iterdir() if folder.is_dir())
    means = []
    for label in classes:
        vectors = encoder.encode(find_images(data / "train" / label)[:SHOTS])
        means.append(vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0)))
    photos = find_images(data / "val")
    nearest = (encoder.encode(photos) @ np.array(means).T).argmax(axis=1)
    right = [classes[place] == photo.parent.name for place, photo in zip(nearest, photos)]
    return 100 * float(np.mean(right))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
