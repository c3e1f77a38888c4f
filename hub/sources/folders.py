"""Folders of images in the usual layouts: flat, one folder a class, and train/val splits of the latter.

A large folder is gone through once; its listing is remembered until something in it changes (see listing_cache).
"""

import json
import logging
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..output.printing import shown
from . import listing_cache
from .files import Files, number_labels, published_name
from .packed_names import Names
from .walk import is_passed_over, walk

log = logging.getLogger(__name__)

# In whatever case; where several are there, the first that holds an image.
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("val", "valid", "validation", "test", "testing")
REMEMBERED_FROM = 1000  # images; listing fewer takes no time
_SPLIT_WORDS = {*TRAIN_NAMES, *TEST_NAMES, "trainval", "eval", "dev", "holdout"}


def open_folder(root: Path | str) -> Files:
    """The images below a folder, sorted by path; labelled when every one lies in a class folder.

    The log says what was left out: links that lead nowhere, photos that only other packages read.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    root = Path(root)
    names = _image_names(root)
    slashes = [name.find("/") for name in names]
    if min(slashes) < 0:
        return Files(published_name(root), root, names, None, ())
    firsts = [name[:slash] for name, slash in zip(names, slashes)]
    return Files(published_name(root), root, names, *number_labels(firsts, sorted(set(firsts))))


def find_images(folder: Path | str) -> list[Path]:
    """All image files below a folder by their suffix, sorted by path; hidden ones are left out, links followed.

    Raises:
        DataError: the folder is missing or holds no image file.
    """
    return list(open_folder(folder).all_paths())


def training_root(root: Path | str) -> Path:
    """The `train` part of a folder that has a test part too, or nothing beside it; else the folder itself.

    Raises:
        DataError: two folders in it could be `train`.
    """
    root = Path(root)
    train = part_of(root, TRAIN_NAMES)
    if train is None:
        return root
    is_alone = not any(path.is_file() or path != train for path in root.iterdir() if not is_passed_over(path.name))
    return train if is_alone or part_of(root, TEST_NAMES) is not None else root


def refuse_splits_as_classes(data: Files) -> Files:
    """The data, unless its class folders are named like the parts of a split, as in seg_train and seg_test.

    Raises:
        DataError: they are.
    """
    if len(data.classes) > 1 and all(map(_looks_like_a_part, data.classes)):
        named = ", ".join(shown(name) for name in data.classes[:5])
        train = next((name for name in data.classes if "train" in name.lower()), data.classes[0])
        raise DataError(
            f"{data.root} holds {named}, which look like parts of data and not like classes; give the part to learn "
            f"from, as in --data {data.root / train}."
        )
    return data


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
        found = ", ".join(shown(name) for name in sorted(path.name for path in root.iterdir())[:5]) or "nothing"
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
    """The folder in `root` that has the first of these names, in whatever case; one with images before one without.

    Raises:
        DataError: two folders have one name but for the case.
    """
    if not root.is_dir():
        return None
    folders = [path for path in sorted(root.iterdir()) if path.name.lower() in names and path.is_dir()]
    found = []
    for name in names:
        alike = [path for path in folders if path.name.lower() == name]
        if len(alike) > 1:
            raise DataError(f"{root} holds both {alike[0].name} and {alike[1].name}; leave one of them there.")
        found += alike
    return next((path for path in found if holds_image(path)), found[0] if found else None)


def holds_image(folder: Path) -> bool:
    """Whether there is an image below a folder."""
    try:
        _image_names(folder)
    except DataError:
        return False
    return True


def _looks_like_a_part(name: str) -> bool:
    return any(word in _SPLIT_WORDS for word in re.findall("[a-z]+", name.lower()))


def _image_names(root: Path) -> Names:
    """From the cache if it is still true, else from the folder itself."""
    cached = listing_cache.recall("folder", root)
    if cached is not None:
        _warn(str(root), *json.loads(cached["notes"].tobytes()))
        return Names(cached["block"], cached["ends"])
    start_s = listing_cache.now()
    try:
        listing = walk(root)
    except OSError:
        raise DataError(
            f"{root} is not a folder that can be read; give the folder that holds the images, or a list that is there."
        ) from None
    notes = listing.notes()
    if not listing.names:
        more = "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
        raise DataError(f"{root} holds no image: {listing.files} files, none with a suffix such as .jpg or .png.{more}")
    _warn(str(root), *notes)
    names = Names.of(sorted(listing.names, key=lambda name: name.split("/")))
    if len(names) >= REMEMBERED_FROM:
        arrays: listing_cache.Arrays = {
            "block": names.block,
            "ends": names.ends,
            "notes": np.frombuffer(json.dumps(notes).encode(), np.uint8),
        }
        listing_cache.save("folder", root, arrays, listing.stamps, start_s=start_s)
    return names


@lru_cache(maxsize=1000)
def _warn(root: str, *notes: str) -> None:
    """Say once in a process what was left out of a folder."""
    for note in notes:
        log.warning("%s: %s", shown(root), note)
