"""An index follows its photos by their content: renamed, moved and changed ones keep their ids, vanished ones leave."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.index import ImageIndex, load, read_generation, update
from goodviews.export.index.build import build
from goodviews.export.index.update import Outcome, add, refresh, remove
from goodviews.hub import DataError, open_encoder
from goodviews.hub.cli import run
from goodviews.hub.photo_encoder import PhotoEncoder

TINY = "random:resnet18-w0.25-32px"


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def encoder() -> PhotoEncoder:
    return open_encoder(TINY)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate(("cats/0.png", "cats/1.png", "dogs/2.png", "dogs/3.png", "4.png")):
        paint(tmp_path / "photos" / name, number)
    return tmp_path / "photos"


@pytest.fixture
def index(photos: Path, encoder: PhotoEncoder, tmp_path: Path) -> ImageIndex:
    return build(encoder, photos, tmp_path / "index")[0]


def places(index: ImageIndex) -> dict[str, int]:
    return {item.path: item.id for item in load(index.folder).items}


def counts(outcome: Outcome) -> dict[str, int]:
    return {name: value for name, value in vars(outcome).items() if isinstance(value, int) and value}


def test_a_renamed_folder_is_no_new_folder(index: ImageIndex, encoder: PhotoEncoder, photos: Path):
    before = places(index)
    (photos / "cats").rename(photos / "felines")
    assert counts(refresh(index, encoder)) == {"moved": 2, "unchanged": 3}
    assert places(index) == {name.replace("cats", "felines"): key for name, key in before.items()}
    assert index.item(before["cats/0.png"]).label == "felines"


def test_a_folder_that_was_moved_and_is_added_again_keeps_its_ids(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path, tmp_path: Path
):
    shutil.move(photos, tmp_path / "elsewhere")
    assert counts(add(index, encoder, tmp_path / "elsewhere")) == {"moved": 5}
    assert sorted(item.id for item in index.items) == [0, 1, 2, 3, 4]
    assert all(index.locate(item).is_file() for item in index.items)
    assert index.about.root == tmp_path / "elsewhere"


def test_new_changed_renamed_and_deleted_photos_are_told_apart(index: ImageIndex, encoder: PhotoEncoder, photos: Path):
    before = places(index)
    paint(photos / "new.png", 10)
    paint(photos / "dogs" / "2.png", 11)
    (photos / "cats" / "0.png").rename(photos / "cats" / "zero.png")
    (photos / "4.png").unlink()
    old = index.vectors_of([before["dogs/2.png"], before["cats/0.png"]])
    outcome = refresh(index, encoder)
    assert counts(outcome) == {"new": 1, "changed": 1, "renamed": 1, "removed": 1, "unchanged": 2}
    after = places(index)
    assert after["cats/zero.png"] == before["cats/0.png"]
    assert after["dogs/2.png"] == before["dogs/2.png"]
    assert after["new.png"] == 5
    assert "4.png" not in after
    new = index.vectors_of([after["dogs/2.png"], after["cats/zero.png"]])
    assert not np.allclose(old[0], new[0], atol=1e-6)
    np.testing.assert_array_equal(old[1], new[1])
    assert counts(refresh(index, encoder)) == {"unchanged": 5}


def test_two_photos_that_exchange_their_names_exchange_their_places(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path
):
    before = places(index)
    (photos / "4.png").rename(photos / "x")
    (photos / "cats" / "0.png").rename(photos / "4.png")
    (photos / "x").rename(photos / "cats" / "0.png")
    assert counts(refresh(index, encoder)) == {"moved": 2, "unchanged": 3}
    assert places(index)["4.png"] == before["cats/0.png"]
    assert places(index)["cats/0.png"] == before["4.png"]


def test_a_copy_gets_the_vector_and_the_thumbnail_of_its_original_and_an_id_of_its_own(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copy(photos / "4.png", photos / "copy.png")
    monkeypatch.setattr(update, "_embed", lambda *_: pytest.fail("it was embedded again"))
    assert counts(refresh(index, encoder)) == {"new": 1, "unchanged": 5}
    copy, original = places(index)["copy.png"], places(index)["4.png"]
    assert copy == 5
    np.testing.assert_array_equal(*index.vectors_of([copy, original]))
    assert index.thumbnail(copy) == index.thumbnail(original)
    assert index.duplicate_groups(0.9999999) == [[original, copy]]


def test_a_photo_that_was_only_touched_is_not_embedded_again(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    (photos / "4.png").touch()
    monkeypatch.setattr(update, "_embed", lambda *_: pytest.fail("it was embedded again"))
    assert counts(refresh(index, encoder)) == {"unchanged": 5}
    generation = read_generation(index.folder)
    refresh(index, encoder)
    assert read_generation(index.folder) == generation  # the new time is known now


def test_a_root_that_is_gone_or_empty_is_no_reason_to_forget_its_photos(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path
):
    shutil.rmtree(photos)
    for make in (lambda: None, photos.mkdir):
        make()
        with pytest.raises(DataError, match=r"the index has 5 from there\. Is the disk connected\?"):
            refresh(index, encoder)
    assert len(load(index.folder)) == 5
    assert len(remove(index, [str(photos)])) == 5
    assert counts(refresh(index, encoder)) == {}


def test_photos_of_several_folders_are_all_followed_and_single_ones_are_not_taken_for_folders(
    index: ImageIndex, encoder: PhotoEncoder, tmp_path: Path
):
    for name in ("more/a.png", "others/b.png", "others/not_asked_for.png"):
        paint(tmp_path / name, len(name))
    add(index, encoder, tmp_path / "more")
    add(index, encoder, tmp_path / "others" / "b.png")
    paint(tmp_path / "more" / "later.png", 77)
    assert counts(refresh(index, encoder)) == {"new": 1, "unchanged": 7}
    assert [root.name for root in index.about.further_roots] == ["more", "others"]
    (tmp_path / "others" / "b.png").unlink()
    assert counts(refresh(index, encoder)) == {"removed": 1, "unchanged": 7}


def test_a_known_photo_that_cannot_be_read_any_more_stays_and_is_listed(
    index: ImageIndex, encoder: PhotoEncoder, photos: Path
):
    (photos / "4.png").write_bytes(b"half a photo")
    outcome = refresh(index, encoder)
    assert counts(outcome) == {"unchanged": 4}
    assert len(outcome.skipped) == 1
    assert places(index)["4.png"] == 0
    assert "4.png" in (index.folder / "skipped.txt").read_text()


def test_many_changes_keep_few_files_and_clear_dead_rows(index: ImageIndex, encoder: PhotoEncoder, photos: Path):
    for number in range(20):
        paint(photos / "4.png", 100 + number)
        add(index, encoder, photos)
    vectors = list(index.folder.glob("vectors-*.npy"))
    assert len(vectors) <= 16
    assert index.removed <= 2
    assert [item.id for item in index.items] == [0, 1, 2, 3, 4]
    newest = encoder.encode([photos / "4.png"])
    assert index.search(newest, 1, encoder=encoder.id)[0][0].item.path == "4.png"


def test_the_command_says_what_became_of_the_photos(index: ImageIndex, photos: Path, capsys):
    (photos / "4.png").rename(photos / "four.png")
    run(["index", "refresh", str(index.folder)])
    assert "0 new, 0 changed, 1 renamed, 0 moved, 0 removed, 4 unchanged; 5 images" in capsys.readouterr().out


def test_an_index_of_the_first_format_learns_digests_and_thumbnails_at_its_first_refresh(old: Path):
    index, encoder = load(old / "index"), open_encoder(old / "exported")
    assert (index.format, {item.sha256 for item in index.items}) == (1, {None})
    generation, ids = index.generation, [item.id for item in index.items]
    before = index.vectors_of(ids)
    (old / "photos").rename(old / "pictures")
    shutil.copytree(old / "pictures", old / "photos")
    assert counts(refresh(index, encoder))
    assert (index.format, [item.id for item in index.items]) == (2, ids)
    assert index.generation > generation
    assert None not in {item.sha256 for item in index.items}
    np.testing.assert_array_equal(index.vectors_of(ids), before)
    assert sorted(path.name for path in (old / "index").iterdir() if path.suffix in {".faiss", ".json"}) == [
        "index.json"
    ]
