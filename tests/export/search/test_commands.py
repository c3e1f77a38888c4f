"""`search` and `duplicates` as a user types them."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.index import ImageIndex, load
from goodviews.export.index.about import About
from goodviews.export.index.build import build
from goodviews.export.index.change import Entry, changing, filling
from goodviews.export.search.duplicates import find_duplicates
from goodviews.hub import DataError, OutputExists, UsageError, open_encoder
from goodviews.hub.cli import run


@pytest.fixture
def index(old: Path, capsys: pytest.CaptureFixture[str]) -> ImageIndex:
    """Three photos, one of them in a folder of its own and dated."""
    photos = old / "photos"
    (photos / "cats").mkdir()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 10:00:00"
    with Image.open(photos / "2.png") as photo:
        photo.convert("RGB").save(photos / "cats" / "2.jpg", quality=95, exif=exif)
    (photos / "2.png").unlink()
    made = build(open_encoder(old / "exported"), photos, old / "made")[0]
    capsys.readouterr()
    return made


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict]:
    run([*map(str, words), "--json"])
    return json.loads(capsys.readouterr().out)


def test_several_photos_are_looked_up_at_once(index: ImageIndex, old: Path, capsys):
    photos = old / "photos"
    run(["search", str(index.folder), str(photos / "0.png"), str(photos / "cats"), "-k", "1"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["query", "id", "similarity", "image"]
    assert [Path(line[0]).name for line in lines[1:]] == ["0.png", "2.jpg"]
    assert [line[3] for line in lines[1:]] == ["0.png", "cats/2.jpg"]


def test_json_says_all_that_is_known_of_a_match(index: ImageIndex, old: Path, capsys):
    (found,) = answer(capsys, "search", index.folder, old / "photos" / "cats" / "2.jpg", "-k", "1")
    assert found["query"].endswith("2.jpg")
    (match,) = found["matches"]
    assert match["similarity"] == pytest.approx(1, abs=1e-5)
    assert (match["path"], match["label"], match["date"]) == ("cats/2.jpg", "cats", "2024-05-31T10:00:00")
    assert Path(match["file"]) == old / "photos" / "cats" / "2.jpg"
    assert match["is_there"]


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        (["--folder", "cats"], 1),
        (["--label", "cats"], 1),
        (["--label", "dogs"], 0),
        (["--after", "2024-05-31"], 1),
        (["--before", "2024-05-31"], 0),
        (["--after", "2024-01-01", "--before", "2025-01-01"], 1),
        ([], 3),
    ],
)
def test_conditions_leave_some_photos_out(index: ImageIndex, old: Path, capsys, conditions: list[str], count: int):
    (found,) = answer(capsys, "search", index.folder, old / "photos" / "0.png", *conditions)
    assert len(found["matches"]) == count


def test_what_a_search_cannot_do_is_one_sentence(index: ImageIndex, old: Path):
    photo = str(old / "photos" / "0.png")
    for words, error in (
        ([photo, photo, "--out", str(old / "x.png")], UsageError),
        ([photo, "--after", "last week"], UsageError),
        ([photo, str(old / "absent.jpg")], DataError),
    ):
        with pytest.raises(error) as refused:
            run(["search", str(index.folder), *words])
        assert "\n" not in str(refused.value)
    assert not (old / "x.png").exists()


@pytest.fixture
def twins(tmp_path: Path) -> ImageIndex:
    """Five photos: 0 and 3 are nearly the same, 3 is the larger file; 1, 2 and 4 are others."""
    identity = open_encoder("random:resnet18-w0.25-32px").id
    rows = np.eye(5, identity.dimension, dtype=np.float32)
    rows[3] = rows[0] + 0.1 * rows[1]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    photos = tmp_path / "my photos"
    photos.mkdir()
    for number in range(5):
        Image.new("RGB", (30, 20), (40 * number, 90, 10)).save(photos / f"it's {number}.png")
    entries = [Entry(1, f"it's {number}.png", size=100 + number) for number in range(5)]
    (tmp_path / "index").mkdir()
    with filling(tmp_path / "index", About(identity, None, "torch", photos)) as change:
        change.insert(entries, rows)
    return load(tmp_path / "index")


def test_near_duplicates_are_grouped_and_the_largest_file_stays(twins: ImageIndex):
    ((first, other),) = find_duplicates(twins, 0.99)
    assert (first.item.id, first.stays, other.item.id, other.stays) == (3, True, 0, False)
    assert other.similarity == pytest.approx(1 / 1.01**0.5, abs=1e-5)
    assert find_duplicates(twins, 0.999) == []
    with changing(twins.folder) as change:
        change.remove([3])
    twins.reload()
    assert find_duplicates(twins, 0.99) == []


def test_the_page_the_list_and_the_script_name_the_same_photos_and_nothing_is_deleted(
    twins: ImageIndex, tmp_path: Path, capsys
):
    out, photos = tmp_path / "out", tmp_path / "my photos"
    words = ["duplicates", str(twins.folder), "--threshold", "0.99", "--out", str(out)]
    run(words)
    assert "2 of 5 photos in 1 groups" in capsys.readouterr().out
    page = (out / "duplicates.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "it&#39;s 3.png" in page
    with (out / "duplicates.csv").open(newline="", encoding="utf-8") as table:
        assert [(row["stays"], row["id"]) for row in csv.DictReader(table)] == [("yes", "3"), ("no", "0")]
    aside = tmp_path / "aside"
    for _ in range(2):  # the second time there is nothing to move any more
        subprocess.run(["sh", str(out / "move_aside.sh"), str(aside)], check=True, capture_output=True)
    assert sorted(path.name for path in photos.iterdir()) == [f"it's {number}.png" for number in (1, 2, 3, 4)]
    assert [path.name for path in aside.rglob("*.png")] == ["0-it's 0.png"]
    with pytest.raises(OutputExists):
        run(words)
    run([*words, "--overwrite"])


def test_the_script_replaces_no_file(twins: ImageIndex, tmp_path: Path):
    run(["duplicates", str(twins.folder), "--threshold", "0.99", "--out", str(tmp_path / "out")])
    there = tmp_path / "aside" / "1" / "0-it's 0.png"
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    subprocess.run(["sh", str(tmp_path / "out" / "move_aside.sh"), str(tmp_path / "aside")], check=True)
    assert there.read_text() == "mine"
    assert (tmp_path / "my photos" / "it's 0.png").is_file()


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_a_threshold_that_is_no_cosine_is_refused(twins: ImageIndex, threshold: float):
    with pytest.raises(UsageError, match="threshold"):
        twins.duplicate_groups(threshold)


def test_an_index_of_vectors_is_the_index_of_the_photos(index: ImageIndex, old: Path):
    run(["embed", str(old / "photos"), "--encoder", str(old / "exported"), "--out", str(old / "v.npy")])
    build_words = ["index", "build", "--encoder", str(old / "exported"), "--vectors", str(old / "v.npy")]
    run([*build_words, "--out", str(old / "again")])
    again = load(old / "again")
    assert [(item.path, item.sha256, item.size, item.label) for item in again.items] == [
        (item.path, item.sha256, item.size, item.label) for item in index.items
    ]
    ids = [item.id for item in index.items]
    np.testing.assert_allclose(again.vectors_of(ids), index.vectors_of(ids), atol=1e-6)
    with pytest.raises(UsageError, match="give one of the two"):
        run([*build_words, "--images", str(old / "photos"), "--out", str(old / "third")])
    shutil.rmtree(old / "photos")
    assert again.search(again.vectors_of(ids), 1, encoder=again.about.encoder)[1][0].item.id == ids[1]
