"""What readers see while an index changes: the old state or the new one, whole, in threads, forks and after kills."""

import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.index import Filter, ImageIndex, load, read_generation
from goodviews.export.index.about import About
from goodviews.export.index.change import Entry, changing, filling
from goodviews.export.index.merge import merge
from goodviews.hub import UsageError, open_encoder
from goodviews.hub.errors import DataError
from goodviews.hub.identity import EncoderId

FEATURES = 8


@pytest.fixture(scope="module")
def identity() -> EncoderId:
    return open_encoder("random:resnet18-w0.25-32px").id


def unit_rows(count: int, seed: int, features: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, features)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def index(tmp_path: Path, identity: EncoderId) -> ImageIndex:
    folder = tmp_path / "index"
    folder.mkdir()
    about = About(identity, "random:resnet18-w0.25-32px", "torch", tmp_path / "photos")
    entries = [
        Entry(1, f"{label}/{number}.jpg", date=date, label=label)
        for number, (label, date) in enumerate(
            [("cats", "2024-05-30T10:00:00"), ("cats", "2024-05-31T09:00:00"), ("dogs", None), ("catsup", None)]
        )
    ]
    with filling(folder, about) as change:
        change.insert(entries, unit_rows(4, 0, about.dimension))
    return load(folder)


def new(index: ImageIndex, count: int) -> None:
    """Add photos."""
    with changing(index.folder) as change:
        names = [Entry(1, f"new/{change.next_id + number}.jpg") for number in range(count)]
        change.insert(names, unit_rows(count, change.next_id, index.about.dimension))


def test_a_reader_sees_what_it_opened_until_it_looks_again(index: ImageIndex):
    reader = load(index.folder)
    query = reader.vectors_of([2])
    with changing(index.folder) as change:
        change.remove([2])
    new(index, 3)
    assert [item.id for item in reader.items] == [0, 1, 2, 3]
    assert reader.search(query, 1, encoder=reader.about.encoder)[0][0].item.id == 2
    assert reader.generation < read_generation(index.folder)
    assert reader.reload()
    assert [item.id for item in reader.items] == [0, 1, 3, 4, 5, 6]
    assert 2 not in {match.item.id for match in reader.search(query, 9, encoder=reader.about.encoder)[0]}


LOOK = """
import sys
import time
from goodviews.export.index import load

for _ in range(40):  # open the index again and again; say what is neither an old nor a new state
    opened = load(sys.argv[1])
    items = opened.items
    ids = [item.id for item in items]
    if len(items) != len(opened) or (len(items) - 4) % 5:
        print(f"{len(items)} photos")
    found = opened.search(opened.vectors_of(ids), 1, encoder=opened.about.encoder)
    if [matches[0].item.id for matches in found] != ids:
        print("a photo does not find itself")
"""


def test_readers_in_other_processes_see_whole_states_while_it_changes(index: ImageIndex):
    command = [sys.executable, "-c", LOOK, str(index.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as looking:
        rounds, end = 0, time.monotonic() + 120
        while rounds < 3 or (looking.poll() is None and time.monotonic() < end):
            new(index, 5)
            if rounds % 3 == 2:
                with changing(index.folder) as change:
                    change.remove(range(change.next_id - 5, change.next_id))
            rounds += 1
        assert looking.communicate(timeout=60) == ("", "")
    assert looking.returncode == 0


def test_a_fork_opens_the_index_for_itself(index: ImageIndex):
    assert len(index.items) == 4
    child = os.fork()
    if child == 0:
        os._exit(len(index.items) + 10 * len(index.search(index.vectors_of([0]), 4, encoder=index.about.encoder)[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 44
    assert len(index.items) == 4


@pytest.mark.parametrize("moment", ["written", "before_commit", "committed"])
def test_a_process_that_is_killed_in_a_change_leaves_the_old_state_or_the_new(index: ImageIndex, moment: str):
    code = f"""
import os, signal, sys
import numpy as np
from goodviews.export.index import change as module, load
from goodviews.export.index.change import Change, Entry, changing
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "before_commit": module._write_folder_to_disk = die
if {moment!r} == "committed": Change._renew_nearest = die
index = load({str(index.folder)!r})
with changing(index.folder) as change:
    rows = np.eye(3, index.about.dimension, dtype=np.float32)
    change.insert([Entry(1, f"new/{{i}}.jpg") for i in range(3)], rows)
    change.remove([0])
    if {moment!r} == "written": die()
"""
    ended = subprocess.run([sys.executable, "-c", code])
    assert ended.returncode == -9
    old, after = [0, 1, 2, 3], [1, 2, 3, 4, 5, 6]
    assert [item.id for item in load(index.folder).items] == (after if moment == "committed" else old)
    new(index, 1)
    assert len(load(index.folder)) == (7 if moment == "committed" else 5)
    counted = {path.name for path in index.folder.glob("*.npy")}
    assert len(counted) == (6 if moment == "committed" else 4), "what nobody counts was removed"


def test_filters_by_folder_label_and_date(index: ImageIndex, tmp_path: Path):
    def ids(**conditions: object) -> list[int]:
        return index.ids_of(Filter(**conditions)).tolist()  # type: ignore[arg-type]

    assert ids(folder="cats") == ids(folder="cats/") == ids(folder=tmp_path / "photos" / "cats") == [0, 1]
    assert ids(folder=tmp_path) == [0, 1, 2, 3]
    assert ids(folder=tmp_path / "photo") == []
    assert ids(label="dogs") == [2]
    assert ids(after="2024-05-31") == [1]
    assert ids(before="2024-05-31") == [0]
    assert ids(label="cats", after="2024-05-30T10:00") == [0, 1]
    query = index.vectors_of([2])
    found = index.search(query, 9, encoder=index.about.encoder, among=Filter(label="cats"))[0]
    assert sorted(match.item.id for match in found) == [0, 1]
    assert index.search(query, 3, encoder=index.about.encoder, among=Filter(label="none")) == [[]]
    with pytest.raises(UsageError, match="no date"):
        Filter(after="yesterday")


def test_ties_are_given_in_the_order_of_their_ids(index: ImageIndex):
    same = np.repeat(unit_rows(1, 5, index.about.dimension), 60, axis=0)
    for _ in range(2):
        with changing(index.folder) as change:
            change.insert([Entry(1, f"same/{change.next_id + number}.jpg") for number in range(60)], same)
    index.reload()
    found = index.search(same[:3], 20, encoder=index.about.encoder)
    assert [[match.item.id for match in row] for row in found] == [list(range(4, 24))] * 3


def test_an_index_that_cannot_be_written_is_read(index: ImageIndex, tmp_path: Path):
    copy = shutil.copytree(index.folder, tmp_path / "copy")
    for path in (*copy.iterdir(), copy):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert [item.id for item in load(copy).items] == [0, 1, 2, 3]
        assert sorted(path.name for path in copy.iterdir()) == sorted(path.name for path in index.folder.iterdir())
    finally:
        copy.chmod(0o755)


def test_indexes_are_merged_and_a_photo_of_both_is_there_once(index: ImageIndex, identity: EncoderId, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    with filling(other, About(identity, None, "torch", tmp_path / "elsewhere")) as change:
        root = change.root(tmp_path / "photos")
        entries = [Entry(1, "a.jpg", thumbnail=b"picture"), Entry(root, "cats/0.jpg")]
        change.insert(entries, unit_rows(2, 9, identity.dimension or 0))
    merged = merge([index.folder, other], tmp_path / "both")
    assert (len(merged.index), merged.twice) == (5, 1)
    assert [item.full_path for item in merged.index.items[:4]] == [item.full_path for item in index.items]
    added = merged.index.items[4]
    assert (added.id, added.full_path) == (4, tmp_path / "elsewhere" / "a.jpg")
    np.testing.assert_array_equal(merged.index.vectors_of([4]), load(other).vectors_of([0]))
    assert merged.index.stored_thumbnail(4) == b"picture"


def test_a_thumbnail_is_small_and_upright_and_made_of_the_photo_where_none_is_stored(index: ImageIndex):
    with pytest.raises(DataError, match="does not exist"):
        index.thumbnail(0)
    place = index.locate(index.item(0))
    place.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (1000, 500), "red").save(place, exif=exif)
    with Image.open(io.BytesIO(index.thumbnail(0))) as small:
        assert (small.format, small.size) == ("JPEG", (128, 256))
