"""Reading the VOC layout: boxes as stored, and a sentence for everything that does not fit together."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub.errors import DataError
from goodviews.transfer.data_check import ClassCount, DataCheck
from goodviews.transfer.datasets.labelled_photos import read_photo
from goodviews.transfer.datasets.voc import check_voc, read_voc


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def xml(devkit: Path, name: str = "test1") -> Path:
    return devkit / "VOC2007" / "Annotations" / f"{name}.xml"


def test_boxes_have_zero_based_edges(devkit: Path):
    photo = read_voc(devkit).test[1]
    red, blue = photo.objects
    assert (photo.id, photo.width, photo.height) == ("test1", 96, 72)
    assert (red.name, red.box) == ("red", (5, 8, 35, 38))
    assert (blue.name, blue.box) == ("blue", (49, 19, 89, 60))


def test_classes_are_those_of_training_in_alphabetical_order(devkit: Path):
    assert read_voc(devkit).classes == ("blue", "red")


def test_difficult_objects_are_kept_and_marked(devkit: Path):
    edit(xml(devkit), "<name>red</name><difficult>0", "<name>red</name><difficult>1")
    assert [thing.is_difficult for thing in read_voc(devkit).test[1].objects] == [True, False]


def test_trainval_of_both_years_is_trained_on_and_a_folder_VOCdevkit_may_stand_between(devkit: Path):
    shutil.copytree(devkit / "VOC2007", devkit / "VOCdevkit" / "VOC2012")
    shutil.move(devkit / "VOC2007", devkit / "VOCdevkit" / "VOC2007")
    data = read_voc(devkit)
    assert (len(data.train), len(data.test)) == (12, 3)
    assert data.train_splits == ("VOC2007 trainval", "VOC2012 trainval")
    assert data.name == "squares"


def test_a_split_of_one_photo_is_read(devkit: Path):
    (devkit / "VOC2007" / "ImageSets" / "Main" / "test.txt").write_text("test0")
    assert [photo.id for photo in read_voc(devkit).test] == ["test0"]


def test_pixels_are_those_the_boxes_were_drawn_on_whatever_exif_says(devkit: Path):
    path = devkit / "VOC2007" / "JPEGImages" / "test0.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    with Image.open(path) as image:
        image.save(path, exif=exif)
    assert read_photo(read_voc(devkit).test[0]).size == (96, 72)


def _unlink(part: str) -> Callable[[Path], None]:
    return lambda devkit: (devkit / "VOC2007" / part).unlink()


def _edit(old: str, new: str) -> Callable[[Path], None]:
    return lambda devkit: edit(xml(devkit), old, new)


def _write(part: str, content: bytes) -> Callable[[Path], None]:
    return lambda devkit: (devkit / "VOC2007" / part).write_bytes(content) and None


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda devkit: shutil.rmtree(devkit / "VOC2007"), "contains no VOC2007 folder"),
        (_unlink("ImageSets/Main/trainval.txt"), r"trainval\.txt is missing"),
        (_write("ImageSets/Main/test.txt", b"\n"), r"test\.txt is empty"),
        (_write("ImageSets/Main/test.txt", b"\xff\xd8\xff"), r"test\.txt is not a text file"),
        (_write("ImageSets/Main/test.txt", b"trainval0\ntest0\n"), r"trainval0 is in both trainval\.txt and test\.txt"),
        (_write("ImageSets/Main/test.txt", b"test0 test1 test2"), r"test\.txt has a line of 3 names \(test0"),
        (_write("ImageSets/Main/test.txt", b"test0\ntest1\ntest0"), r"test\.txt lists test0 twice"),
        (_edit("<width>96", "<width>nan"), "has 'nan' where size > width must be a number"),
        (_unlink("JPEGImages/test1.jpg"), r"test1\.jpg is missing, though a split file names it"),
        (_unlink("Annotations/test1.xml"), r"test1\.xml is missing, though a split file names test1"),
        (_write("JPEGImages/test1.jpg", b"no photo"), r"test1\.jpg is not an image"),
        (_write("Annotations/test1.xml", b"<annotation>"), r"test1\.xml is not readable as XML"),
        (_edit("<width>96", "<width>95"), r"test1\.jpg is 96 x 72 pixels, but test1\.xml says 95 x 72"),
        (_edit("<width>96</width><height>72", "<width>72</width><height>96"), "turned by its EXIF tag"),
        (_edit("<xmax>35", "<xmax>97"), r"'red' box \(6, 9, 97, 38\) that does not lie within its photo of 96 x 72"),
        (_edit("<xmin>6", "<xmin>0"), "corners are 1-based"),
        (_edit("<xmin>6", "<xmin>six"), "has 'six' where bndbox > xmin must be a number"),
        (_edit("<name>red", "<name>mauve"), r"the class 'mauve', which no training photo has .they have: blue, red"),
        (_edit("<name>red", "<name>"), "an object without a name"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(devkit: Path, spoil: Callable, sentence: str):
    spoil(devkit)
    with pytest.raises(DataError, match=sentence):
        read_voc(devkit)


@pytest.mark.parametrize("bom", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk", "gb2312", "latin-1"])
def test_lists_and_annotations_are_read_in_the_encoding_they_say(devkit: Path, encoding: str, bom: bytes):
    listing = devkit / "VOC2007" / "ImageSets" / "Main" / "test.txt"
    listing.write_bytes(bom + listing.read_bytes())
    name = "chêne" if encoding == "latin-1" else "red" if encoding == "utf-16" else "浣熊"
    for path in (devkit / "VOC2007" / "Annotations").iterdir():
        text = path.read_text("utf-8").replace("<name>red", f"<name>{name}")
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
    data = read_voc(devkit)
    assert data.classes == tuple(sorted(["blue", name]))
    assert len(data.test) == 3


def test_an_encoding_that_nobody_knows_is_read_as_utf8_or_refused_by_name(devkit: Path):
    text = xml(devkit).read_text("utf-8").replace("<name>red", "<name>blue")
    head = '<?xml version="1.0" encoding="ansi"?>'
    xml(devkit).write_text(head + text, "utf-8")
    assert [thing.name for thing in read_voc(devkit).test[1].objects] == ["blue", "blue"]
    xml(devkit).write_bytes((head + text.replace("blue", "chêne")).encode("latin-1"))
    with pytest.raises(DataError, match=r"test1\.xml says that its encoding is 'ansi', which it is not"):
        read_voc(devkit)


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg"])
def test_photos_may_have_other_suffixes(devkit: Path, suffix: str):
    photo = devkit / "VOC2007" / "JPEGImages" / "test1.jpg"
    Image.open(photo).save(photo.with_suffix(suffix))
    photo.unlink()
    assert read_voc(devkit, decode=True).test[1].path.name == f"test1{suffix}"


def test_two_photos_of_one_name_are_asked_about(devkit: Path):
    photo = devkit / "VOC2007" / "JPEGImages" / "test1.jpg"
    shutil.copy(photo, photo.with_suffix(".png"))
    photo.rename(photo.with_suffix(".JPG"))
    with pytest.raises(DataError, match=r"holds both test1\.JPG and test1\.png"):
        read_voc(devkit)


@pytest.mark.parametrize("name", ["img 1", "my photo 12"])
def test_a_line_with_blanks_is_a_name_if_there_is_such_a_file(devkit: Path, name: str):
    year = devkit / "VOC2007"
    (year / "JPEGImages" / "test1.jpg").rename(year / "JPEGImages" / f"{name}.jpg")
    xml(devkit).rename(xml(devkit, name))
    (year / "ImageSets" / "Main" / "test.txt").write_text(f"test0  1\n{name}\ntest2 -1\n")
    assert [photo.id for photo in read_voc(devkit).test] == ["test0", name, "test2"]


def test_a_photo_too_large_to_decode_safely_is_a_sentence_of_the_check(devkit: Path, monkeypatch: pytest.MonkeyPatch):
    photo = devkit / "VOC2007" / "JPEGImages" / "test1.jpg"
    Image.new("L", (2000, 1000)).save(photo)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900_000)  # more than twice that is Pillow's error, not its warning
    [problem] = check_voc(devkit).problems
    assert "test1.jpg has more than 0 million pixels" in problem


def test_the_check_lists_every_problem_of_a_folder_also_damaged_photos(devkit: Path):
    summary = "6 training photos with 12 objects and 3 test photos with 6 objects of 2 classes"
    classes = (ClassCount("blue", 6, 3), ClassCount("red", 6, 3))
    assert check_voc(devkit) == DataCheck(summary, (), classes=classes)
    edit(xml(devkit, "test0"), "<xmax>34", "<xmax>97")
    edit(xml(devkit, "test2"), "<width>96", "<width>95")
    photo = devkit / "VOC2007" / "JPEGImages" / "trainval0.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    problems = check_voc(devkit).problems
    assert [Path(problem.split()[0]).name for problem in problems] == ["test0.xml", "test2.jpg", "trainval0.jpg"]
    with pytest.raises(DataError, match="Problems beside this: 1;"):
        read_voc(devkit)
    with pytest.raises(DataError, match="Problems beside this: 2;"):
        read_voc(devkit, decode=True)
