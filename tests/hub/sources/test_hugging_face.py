"""Hugging Face datasets: the same photos are the same batches."""

import json
import pickle
from pathlib import Path

import pytest

from goodviews.hub.errors import DataError, MissingExtra
from goodviews.hub.sources.folders import open_folder
from goodviews.hub.sources.open import open_data

pytestmark = pytest.mark.oldest


def hugging_face(images: Path, folder: Path, **splits: slice) -> Path:
    datasets = pytest.importorskip("datasets")
    photos = open_folder(images)
    features = datasets.Features({"photo": datasets.Image(), "kind": datasets.ClassLabel(names=list(photos.classes))})

    def table(part: slice):
        chosen = range(len(photos))[part]
        content = [{"bytes": photos.path(i).read_bytes(), "path": None} for i in chosen]
        return datasets.Dataset.from_dict({"photo": content, "kind": [int(photos.labels[i]) for i in chosen]}, features)

    tables = {name: table(part) for name, part in splits.items()}
    (datasets.DatasetDict(tables) if len(tables) > 1 else next(iter(tables.values()))).save_to_disk(folder)
    return folder


def test_hugging_face_dataset_shows_what_its_folder_shows(images, tmp_path, assert_same):
    source = open_data(f"hf:{hugging_face(images, tmp_path / 'mine', train=slice(None))}").train
    assert_same(source, open_folder(images))
    assert_same(pickle.loads(pickle.dumps(source)), open_folder(images))
    about = source.describe()
    assert (about["name"], about["images"], about["classes"]) == ("mine", 16, ["class0", "class1"])
    assert str(tmp_path) not in json.dumps(about)


def test_split_of_a_hugging_face_dataset_is_chosen_by_name(images, tmp_path):
    folder = hugging_face(images, tmp_path / "mine", train=slice(0, None, 2), test=slice(1, None, 2))
    data = open_data(f"hf:{folder}")
    assert (len(data.train), len(data.test)) == (8, 8)
    assert open_data(f"hf:{folder}:test").train.place(3) == "hf:mine:test, row 3"
    with pytest.raises(DataError, match=r"has no split dev; it has train, test"):
        open_data(f"hf:{folder}:dev")
    with pytest.raises(DataError, match=r"hf:.*none cannot be opened"):
        open_data(f"hf:{tmp_path / 'none'}")


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r'needs datasets, .*: pip install "datasets'):
        open_data("hf:some/photos")
