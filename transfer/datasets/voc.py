"""Reads photos with boxes in the layout of the PASCAL VOC devkit.

    DIR/VOC2007/{Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/{trainval,test}.txt}
    DIR/VOC2012/{Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/trainval.txt}      (optional)

VOC2007 may also be in DIR/VOCdevkit, and photos may be .png, .JPG or whatever else is read here. Training takes
trainval of both years ("07+12"), testing the test split of 2007. Class names are those of the data, so any photos
labelled in this layout will do. Torch-free.
"""

import math
import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.files.text_files import is_text, read_text
from ...hub.images import has_image_suffix
from ...hub.output.printing import shown
from ..data_check import DataCheck
from .check_photos import check_photos
from .detection_data import DetectionData
from .labelled_photos import LabelledObject, LabelledPhoto, decoding_problems, size_problem
from .photo_table import pack
from .xml_files import read_xml

LONGEST_NAME, LARGEST_NUMBER = 255, 1e9  # more than any name, and than any edge of a photo
_MARKS = ("-1", "0", "1")  # a list of one class has one beside each name


def read_voc(folder: Path, *, decode: bool = False, values: Values | None = None) -> DetectionData:
    """Reads all photos and boxes below `folder`, checked.

    Objects marked difficult stay in, in training as in testing: whoever trains or scores decides about them.

    Args:
        folder: Holds VOC2007, or VOCdevkit/VOC2007.
        decode: Decode each photo once too, a few milliseconds each, so that no damaged one stops a long run.
        values: Of photos of more than 8 bits: which are black and white, see `hub.deep_pixels`.

    Raises:
        DataError: a folder, split, annotation or photo is missing or damaged, a size or box does not fit its photo, or
            the test split has a class that training lacks. The message gives the first; `read_with_problems` gives
            all.
    """
    data, problems = read_with_problems(folder)
    data = data.with_values(values)
    problems += decoding_problems(data.photo_files, values) if decode else []
    if problems:
        rest = len(problems) - 1
        more = f" Problems beside this: {rest}; --check lists them." if rest else ""
        raise DataError(f"{problems[0]}{more}")
    return data


def check_voc(folder: Path, values: Values | None = None) -> DataCheck:
    """Everything that is wrong with `folder`, damaged photos too.

    Args:
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: `folder` is not in the VOC layout.
    """
    data, problems = read_with_problems(folder)
    return check_photos(data.with_values(values), problems)


def read_with_problems(folder: Path) -> tuple[DetectionData, list[str]]:
    """Reads what can be used, without decoding photos, and returns a sentence for everything that is wrong.

    Raises:
        DataError: `folder` is not in the VOC layout at all.
    """
    root = find_devkit(folder)
    problems: list[str] = []
    years = [year for year in ("VOC2007", "VOC2012") if (root / year).is_dir()]
    train = [photo for year in years for photo in _read_split(root / year, "trainval", problems)]
    test = _read_split(root / "VOC2007", "test", problems)
    classes = tuple(sorted({thing.name for photo in train for thing in photo.objects}))
    if not problems:
        problems += _problems_between(root, classes, train, test)
    data = DetectionData(
        name=name_of(root),
        root=root,
        layout="voc",
        classes=classes,
        train=pack(train),
        test=pack(test),
        train_splits=tuple(f"{year} trainval" for year in years),
        test_split="VOC2007 test",
        label_files=tuple(_annotation_of(photo.path) for photo in (*train, *test)),
    )
    return data, problems


def read_split(folder: Path, split: str, *, year: str = "VOC2007") -> tuple[LabelledPhoto, ...]:
    """Reads the photos of one split, e.g. "train", in the order of its list, each checked as in `read_voc`.

    Raises:
        DataError: the first problem.
    """
    photos, problems = read_split_with_problems(folder, split, year=year)
    if problems:
        raise DataError(problems[0])
    return tuple(photos)


def read_split_with_problems(
    folder: Path, split: str, *, year: str = "VOC2007"
) -> tuple[list[LabelledPhoto], list[str]]:
    """Reads the photos of one split that can be used; a sentence for everything that is wrong with the others.

    Raises:
        DataError: `folder` is not in the VOC layout at all.
    """
    problems: list[str] = []
    return _read_split(find_devkit(folder) / year, split, problems), problems


def name_of(root: Path) -> str:
    """The name of the data: the folder's own, e.g. "raccoon" for raccoon/VOCdevkit."""
    root = root.resolve()
    return shown(root.parent.name if root.name == "VOCdevkit" else root.name)


def files_of(photos: Iterable[LabelledPhoto]) -> list[Path]:
    """The files of photos and of their annotations."""
    paths = [photo.path for photo in photos]
    return [*paths, *(_annotation_of(path) for path in paths)]


def find_devkit(folder: Path) -> Path:
    """The folder that holds VOC2007: `folder` or `folder`/VOCdevkit.

    Raises:
        DataError: neither does.
    """
    for root in (folder, folder / "VOCdevkit"):
        if (root / "VOC2007").is_dir():
            return root
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder that contains VOC2007.")
    raise DataError(
        f"{folder} contains no VOC2007 folder, nor does {folder / 'VOCdevkit'}; give the folder that contains VOC2007."
    )


def _problems_between(
    root: Path, classes: tuple[str, ...], train: list[LabelledPhoto], test: list[LabelledPhoto]
) -> Iterable[str]:
    """What is wrong with the splits taken together."""
    if not classes:
        yield f"No photo of the trainval split in {root} has an object; nothing can be learned from it."
    if not any(not thing.is_difficult for photo in test for thing in photo.objects):
        yield f"No photo of the test split in {root} has an object that counts; nothing can be measured on it."
    for photo in test:
        for name in sorted({thing.name for thing in photo.objects} - set(classes)):
            known = ", ".join(classes[:20])
            where = _annotation_of(photo.path)
            yield f"{where} has the class {name!r}, which no training photo has (they have: {known}); correct it."
    trained_on, lists = {photo.path for photo in train}, root / "VOC2007" / "ImageSets" / "Main"
    for photo in test:
        if photo.path in trained_on:
            yield f"{photo.id} is in both trainval.txt and test.txt of {lists}; take it out of one."


def _read_split(year: Path, split: str, problems: list[str]) -> list[LabelledPhoto]:
    """Reads the photos that a split file names; what cannot be used goes into `problems`."""
    listing = year / "ImageSets" / "Main" / f"{split}.txt"
    try:
        text = read_text(listing)
    except OSError:
        problems.append(f"{listing} is missing; it must list the {split} photos, one name a line.")
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not is_text(text) and not all(_is_name(line, year) for line in lines if not is_text(line)):
        problems.append(f"{listing} is not a text file; it must list the {split} photos, one name a line.")
        return []
    if not lines:
        problems.append(f"{listing} is empty; it must list the {split} photos, one name a line.")
    ids = []
    for line in lines:
        words = line.split()
        if len(words) == 1 or _is_name(line, year):
            ids.append(line)
        elif len(words) == 2 and words[1] in _MARKS:
            ids.append(words[0])
        else:
            first = shown(f"{words[0]:.60}")
            problems.append(f"{listing} has a line of {len(words)} names ({first} …); it must have one name a line.")
            return []
    problems += [f"{listing} lists {name} twice; take one out." for name, times in Counter(ids).items() if times > 1]
    photos, files = [], _Photos(year / "JPEGImages")
    for photo_id in ids:
        try:
            photos.append(_read_annotation(files, photo_id))
        except DataError as error:
            problems.append(str(error))
    return photos


def _is_name(line: str, year: Path) -> bool:
    """Whether a whole line, blanks and all, names a photo."""
    try:
        return (year / "Annotations" / f"{line}.xml").is_file()
    except (OSError, ValueError):  # too long, or with characters that no name has
        return False


class _Photos:
    """The photos of a year by their names without suffix: .jpg as published, else whatever lies there."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find(self, photo_id: str) -> Path:
        """The file, or where it should be.

        Raises:
            DataError: several could be it.
        """
        usual = self.folder / f"{photo_id}.jpg"
        names = [] if usual.is_file() else self._others.get(photo_id, [])
        if len(names) > 1:
            raise DataError(f"{self.folder} holds both {names[0]} and {names[1]}; leave the one that is labelled.")
        return self.folder / names[0] if names else usual

    @cached_property
    def _others(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in sorted(os.listdir(self.folder)) if self.folder.is_dir() else []:  # noqa: PTH208, names are wanted
            if has_image_suffix(name):
                found.setdefault(os.path.splitext(name)[0], []).append(name)  # noqa: PTH122
        return found


def _read_annotation(photos: _Photos, photo_id: str) -> LabelledPhoto:
    if "\0" in photo_id or "/" in photo_id or len(photo_id) > LONGEST_NAME:
        raise DataError(f"A split file beside {photos.folder} names {shown(photo_id[:60])!r}, which is no file's name.")
    path = photos.find(photo_id)
    annotation = _annotation_of(path)
    try:
        tree = read_xml(annotation)
    except FileNotFoundError:
        raise DataError(f"{annotation} is missing, though a split file names {photo_id}.") from None
    width, height = (_number(tree, f"size/{side}", annotation) for side in ("width", "height"))
    size = (int(width), int(height))
    if problem := size_problem(path, size, named_by="a split file", sized_by=annotation.name):
        raise DataError(problem)
    objects = tuple(_read_object(item, width, height, annotation) for item in tree.findall("object"))
    return LabelledPhoto(photo_id, path, int(width), int(height), objects)


def _read_object(item: ElementTree.Element, width: float, height: float, annotation: Path) -> LabelledObject:
    name = (item.findtext("name") or "").strip()
    if not name or len(name) > LONGEST_NAME:
        raise DataError(f"{annotation} has an object {'without a name' if not name else 'with an endless name'}.")
    xmin, ymin, xmax, ymax = (_number(item, f"bndbox/{edge}", annotation) for edge in ("xmin", "ymin", "xmax", "ymax"))
    if not (1 <= xmin <= xmax <= width and 1 <= ymin <= ymax <= height):
        raise DataError(
            f"{annotation} has a {name!r} box ({xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}) that does not lie within "
            f"its photo of {width:g} x {height:g}; corners are 1-based and inclusive."
        )
    is_difficult = (item.findtext("difficult") or "0").strip() == "1"
    return LabelledObject(name, (xmin - 1, ymin - 1, xmax, ymax), is_difficult)


def _number(element: ElementTree.Element, path: str, annotation: Path) -> float:
    text = element.findtext(path)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST_NUMBER:
        content = "nothing" if text is None else f"{text!r:.60}"
        raise DataError(f"{annotation} has {content} where {path.replace('/', ' > ')} must be a number.")
    return value


def _annotation_of(path: Path) -> Path:
    return path.parent.parent / "Annotations" / f"{path.stem}.xml"
