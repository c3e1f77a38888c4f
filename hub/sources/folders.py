"""Folders of images in the usual layouts: flat, one folder a class, and train/val splits of the latter.

A large folder is gone through once; its listing is remembered until something in it changes (see listing_cache).
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..images import has_image_suffix
from . import listing_cache
from .files import Files, number_labels
from .packed_names import Names

TRAIN_NAMES = ("train",)
TEST_NAMES = ("val", "valid", "validation", "test")
REMEMBERED_FROM = 1000  # images; listing fewer takes no time


def open_folder(root: Path | str) -> Files:
    """The images below a folder, sorted by path; labelled when every one lies in a class folder.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    root = Path(root)
    names = _image_names(root)
    slashes = [name.find("/") for name in names]
    if min(slashes) < 0:
        return Files(root.resolve().name, root, names, None, ())
    firsts = [name[:slash] for name, slash in zip(names, slashes)]
    return Files(root.resolve().name, root, names, *number_labels(firsts, sorted(set(firsts))))


def find_images(folder: Path | str) -> list[Path]:
    """All image files below a folder by their suffix, sorted by path; hidden files are left out.

    Raises:
        DataError: the folder is missing or holds no image file.
    """
    return list(open_folder(folder).paths)


def training_root(root: Path | str) -> Path:
    """The `train` part of a folder that has a test part too, else the folder itself."""
    root = Path(root)
    part = part_of(root, TRAIN_NAMES)
    return part if part is not None and part_of(root, TEST_NAMES) is not None else root


def train_and_test(root: Path | str) -> tuple[Files, Files]:
    """Both parts of DIR/train/<class>/* and DIR/{val,test}/<class>/*, labels number_labels alike.

    Raises:
        DataError: a part is missing, unlabelled, or has a class the other lacks.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder with train/<class>/ and val/<class>/.")
    train_root, test_root = part_of(root, TRAIN_NAMES), part_of(root, TEST_NAMES)
    if train_root is None or test_root is None:
        found = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise DataError(f"{root} must hold train/<class>/ and val/<class>/ (or test/), but holds {found}.")
    train, test = open_folder(train_root), open_folder(test_root)
    for part in (train, test):
        if part.labels is None:
            raise DataError(
                f"{part.root} has images outside class folders; the layout is {part.root.name}/<class>/*.jpg."
            )
    if len(train.classes) < 2:
        raise DataError(f"{train.root} has one class, {train.classes[0]}; classification needs at least two.")
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise DataError(
            f"{test.root} has the class {unknown[0]}, which {train.root} lacks; both parts need the same classes."
        )
    assert test.labels is not None, "checked above"
    in_train = np.array([train.classes.index(name) for name in test.classes])
    return train, replace(test, labels=in_train[test.labels], classes=train.classes)


def part_of(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder in `root` that has one of these names."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def _image_names(root: Path) -> Names:
    """From the cache if it is still true, else from the folder itself."""
    cached = listing_cache.recall("folder", root)
    if cached is not None:
        return Names(cached["block"], cached["ends"])
    start_s = listing_cache.now()
    found, stamps = _walk(root)
    if not found:
        raise _no_image(root)
    names = Names.of(sorted(found, key=lambda name: name.split("/")))
    if len(names) >= REMEMBERED_FROM:
        listing_cache.save("folder", root, {"block": names.block, "ends": names.ends}, stamps, start_s=start_s)
    return names


def _walk(root: Path) -> tuple[list[str], dict[str, int]]:
    """Image names below a folder, unordered, and when each folder in it was last changed."""
    names, stamps, folders = [], {}, [""]
    while folders:
        folder = folders.pop()
        if not (root / folder).is_dir():
            raise _no_image(root)
        stamps[folder] = (root / folder).stat().st_mtime_ns  # before it is read: what comes later shows next time
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name + "/")
                elif has_image_suffix(entry.name) and entry.is_file():
                    names.append(name)
    return names, stamps


def _no_image(folder: Path) -> DataError:
    """The error of a folder that is missing or holds no image file."""
    if not folder.is_dir():
        return DataError(f"{folder} is not a folder; give the folder that holds the images.")
    count = sum(path.is_file() for path in folder.rglob("*"))
    return DataError(f"{folder} holds no image: {count} files, none with a suffix such as .jpg or .png.")
