"""Finds the photos and labels of a folder in COCO's format.

    DIR/annotations/instances_{train,val}2017.json, DIR/train2017/*.jpg, DIR/val2017/*.jpg      (as published)

Your own data need only two JSON files in DIR, DIR/annotations or DIR/<split>: one with "train" in its name or its
folder's, one with "val" (or, if there is none, "test"). Photos may lie beside their JSON, in DIR/<split>,
DIR/images/<split>, DIR/images or DIR. Torch-free.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...hub.errors import DataError

LAYOUT = (
    "DIR/annotations/instances_{train,val}2017.json, DIR/train2017, DIR/val2017; or your own: "
    "a *train*.json and a *val*.json with their photos"
)
OTHER_LABELS = ("captions_", "person_keypoints_", "stuff_", "panoptic_", "image_info_")  # of the published archive
WORDS = {"train": ("train",), "test": ("val", "test")}  # a file with the first word counts, else one with the second


@dataclass(frozen=True)
class Split:
    """One JSON file of labels."""

    name: str  # "train2017"
    labels: Path
    root: Path  # the data folder

    def photo_folders(self) -> list[Path]:
        """Where its photos may lie, likeliest first."""
        places = [self.root / self.name, self.root / "images" / self.name, self.labels.parent]
        return list(dict.fromkeys([*places, self.labels.parent / "images", self.root / "images", self.root]))


def find_coco(folder: Path) -> tuple[Split, Split]:
    """The splits to train and to test on, below `folder` or `folder`/coco.

    Raises:
        DataError: one is missing, or several files could be it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the one that contains annotations/instances_train2017.json.")
    roots = (folder, folder / "coco")
    published = [root for root in roots if (root / "annotations" / "instances_train2017.json").is_file()]
    root = next((root for root in (*published, *roots) if any(_labels_below(root))), folder)
    return _find(root, "train"), _find(root, "test")


def _find(root: Path, part: str) -> Split:
    published = {"train": "instances_train2017", "test": "instances_val2017"}[part]
    files = list(_labels_below(root))
    for word in (published, *WORDS[part]):
        matches = [path for path in files if word in _searched_name(path, root)]
        if len(matches) > 1:
            names = ", ".join(str(path.relative_to(root)) for path in matches)
            raise DataError(f"{root} has several files that could be its {word} labels: {names}; leave one there.")
        if matches:
            return Split(_split_name(matches[0]), matches[0], root)
    words = " or ".join(f'"{word}"' for word in WORDS[part])
    have = ", ".join(str(path.relative_to(root)) for path in files[:5]) or "none"
    raise DataError(
        f"{root} has no COCO labels to {part} on: a JSON file with {words} in its name, in the folder itself, in "
        f"annotations or beside the photos, such as annotations/{published}.json; it has {have}."
    )


def _labels_below(root: Path) -> Iterable[Path]:
    folders = [root, root / "annotations", *(root / name for name in ("train", "val", "valid", "test"))]
    for folder in folders:
        yield from sorted(path for path in folder.glob("*.json") if not path.name.startswith(OTHER_LABELS))


def _searched_name(path: Path, root: Path) -> str:
    """The file's name, and its folder's if that is a split's."""
    folder = path.parent.name if path.parent not in (root, root / "annotations") else ""
    return f"{folder}/{path.stem}".lower()


def _split_name(path: Path) -> str:
    """What follows "instances_", or the folder's name where the file's has no split: train/_annotations.coco.json."""
    words: Sequence[str] = sum(WORDS.values(), ())
    if any(word in path.stem.lower() for word in words):
        return re.sub(r"^instances_", "", path.stem)
    return path.parent.name
