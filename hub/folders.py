"""Folders of images in the usual layouts: flat, one folder a class, and train/val splits of the latter."""

from dataclasses import dataclass
from pathlib import Path

from .errors import DataError
from .images import find_images

TRAIN_NAMES = ("train",)
TEST_NAMES = ("val", "valid", "validation", "test")


@dataclass(frozen=True)
class ImageFolder:
    """Image files and, where the layout tells, their classes.

    `labels[i]` is the position in `classes` of `paths[i]`; None for a flat folder.
    """

    root: Path
    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def name(self) -> str:
        """The folder's own name, not where it lies."""
        return self.root.resolve().name

    def describe(self) -> dict[str, object]:
        """What a report or a card says of the data: names and counts, no private path."""
        return {"name": self.name, "images": len(self), "classes": list(self.classes)}


def image_folder(root: Path | str) -> ImageFolder:
    """A folder as it stands: labelled when every image lies in a class folder, else flat.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    root = Path(root)
    paths = find_images(root)
    parts = [path.relative_to(root).parts for path in paths]
    if any(len(part) < 2 for part in parts):
        return ImageFolder(root, tuple(paths), None, ())
    classes = tuple(sorted({part[0] for part in parts}))
    position = {name: i for i, name in enumerate(classes)}
    return ImageFolder(root, tuple(paths), tuple(position[part[0]] for part in parts), classes)


def training_folder(root: Path | str) -> ImageFolder:
    """The images to learn from: the `train` part of a split folder, else the whole folder."""
    return image_folder(training_root(root))


def training_root(root: Path | str) -> Path:
    """The `train` part of a folder that has a test part too, else the folder itself."""
    root = Path(root)
    part = part_of(root, TRAIN_NAMES)
    return part if part is not None and part_of(root, TEST_NAMES) is not None else root


def train_and_test(root: Path | str) -> tuple[ImageFolder, ImageFolder]:
    """Both parts of DIR/train/<class>/* and DIR/{val,test}/<class>/*, labels numbered alike.

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
    train, test = image_folder(train_root), image_folder(test_root)
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
    number = {name: i for i, name in enumerate(train.classes)}
    labels = tuple(number[test.classes[label]] for label in test.labels or ())
    return train, ImageFolder(test.root, test.paths, labels, train.classes)


def part_of(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder in `root` that has one of these names."""
    return next((root / name for name in names if (root / name).is_dir()), None)
