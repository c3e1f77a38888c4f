from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub import OutputExists, UsageError
from goodviews.hub.files.own_pictures import LIST, own_pictures
from goodviews.hub.output.pictures import write_picture

PICTURE = Image.new("RGB", (8, 8), "teal")


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")])
def test_a_picture_is_written_in_the_format_of_its_name(name, kind, tmp_path):
    with Image.open(write_picture(PICTURE, tmp_path / name)) as read:
        assert (read.format, read.size) == (kind, (8, 8))


@pytest.mark.parametrize("name", ["a.tiff", "a", "png"])
def test_a_name_of_another_format_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"no name of a picture; let it end in \.png or \.jpg"):
        write_picture(PICTURE, tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_a_picture_replaces_another_only_when_asked_to(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nmine")
    with pytest.raises(OutputExists):
        write_picture(PICTURE, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().endswith(b"mine")
    assert write_picture(PICTURE, tmp_path / "a.png", overwrite=True).read_bytes().startswith(b"\x89PNG")


def test_a_picture_among_photos_is_noted_and_one_that_somebody_replaces_is_a_photo_again(tmp_path: Path):
    for name in ("alone.png", "photos/a.png", "photos/views.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_picture(PICTURE, tmp_path / name)
    assert not (tmp_path / LIST).exists()
    assert own_pictures(tmp_path / "photos") == {"views.png"}
    (tmp_path / "photos" / "views.png").write_bytes(b"a photo of that name")
    assert own_pictures(tmp_path / "photos") == frozenset()
    for content in ("[]", "{", '{"../a.png": "x", "b.png": 3}', "[" * 100_000):
        (tmp_path / "photos" / LIST).write_text(content)
        assert own_pictures(tmp_path / "photos") == frozenset()
