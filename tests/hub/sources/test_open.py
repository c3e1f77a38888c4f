"""One door to every kind of source; what cannot be read is listed by its place."""

import tarfile

from goodviews.hub.sources.folders import open_folder
from goodviews.hub.sources.open import open_data


def test_split_folder_gives_the_train_part_and_its_val_part_to_test_on(images, tmp_path):
    for part in ("train", "val"):
        (tmp_path / part).symlink_to(images)
    data = open_data(tmp_path)
    assert (len(data.train), len(data.test)) == (16, 16)
    assert data.train.place(0).startswith(str(tmp_path / "train"))
    assert open_data(images).test is None


def test_unreadable_photos_of_every_source_are_listed_by_their_place(images, tmp_path, unreadable):
    photo = open_folder(images).path(0).read_bytes()
    (tmp_path / "folder").mkdir()
    contents = {"0.png": photo, "1.png": b"no image", "2.png": photo}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in contents.items():
            (tmp_path / "folder" / name).write_bytes(content)
            tar.add(tmp_path / "folder" / name, name)
    (tmp_path / "list.txt").write_text("".join(f"folder/{name}\n" for name in contents))
    for data, place in (("folder", "folder/1.png"), ("a.tar", "a.tar/1.png"), ("list.txt", "folder/1.png")):
        assert [path for path, _ in unreadable(open_data(tmp_path / data).train, 3)] == [str(tmp_path / place)]
