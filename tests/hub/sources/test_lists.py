"""Lists of files, with labels or without."""

import csv
import os

import pytest

from goodviews.hub.errors import DataError
from goodviews.hub.sources.folders import open_folder
from goodviews.hub.sources.open import open_data
from goodviews.hub.sources.source import read_photo


@pytest.mark.parametrize("suffix", ["txt", "tsv", "csv", "csv with header"])
def test_list_of_files_shows_what_their_folder_shows(suffix, images, tmp_path, assert_same):
    folder = open_folder(images)
    rows = [(os.path.relpath(folder.path(i), tmp_path), folder.classes[folder.labels[i]]) for i in range(len(folder))]
    path = tmp_path / f"list.{suffix[:3]}"
    with path.open("w", newline="") as stream:
        if suffix[:3] == "csv":
            rows = [("path", "label"), *rows] if "header" in suffix else rows
            csv.writer(stream).writerows(rows)
        else:
            stream.writelines(("\t" if suffix == "tsv" else " ").join(row) + "\n" for row in rows)
    assert_same(open_data(path).train, folder)


def test_list_without_labels_may_name_files_with_blanks(images, tmp_path):
    (tmp_path / "a photo.png").write_bytes(open_folder(images).path(0).read_bytes())
    (tmp_path / "list.txt").write_text(f"a photo.png\n\n{open_folder(images).path(1)}\n")
    source = open_data(tmp_path / "list.txt").train
    assert source.labels is None
    assert read_photo(source, 0).size == read_photo(source, 1).size == (40, 40)
    assert source.describe()["name"] == "list.txt"


def test_numbers_as_labels_are_sorted_as_numbers(images, tmp_path):
    photo = open_folder(images).path(0)
    (tmp_path / "list.txt").write_text("".join(f"{photo} {label}\n" for label in (10, 9, 2)))
    assert open_data(tmp_path / "list.txt").train.classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"names no image"),
        ("words in a line\n", r"line 1: words in a line is not the path of an image"),
        ("a.png x\nb.png\n", r"has a label in line 1, but none in line 2"),
        ("none.png\n", r"line 1: .*none.png is no file; paths start at the list's folder"),
    ],
)
def test_list_that_is_none_is_refused_in_one_sentence(text, sentence, tmp_path):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_data(tmp_path / "list.txt")
