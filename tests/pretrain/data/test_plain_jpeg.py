"""Plain JPEG files by simplejpeg: Pillow's pixels, and whatever is not plain left to Pillow."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.hub.errors import DataError
from goodviews.pretrain.data import plain_jpeg as module
from goodviews.pretrain.data.decode import read_crops
from goodviews.pretrain.data.plain_jpeg import plain_jpeg
from goodviews.pretrain.views.view import RandomResizedCrop

pytest.importorskip("simplejpeg", reason='needs the extra fast: pip install ".[fast]"')


def stored(image: Image.Image, **options: object) -> BytesIO:
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30, "restart_marker_blocks": 3}])
@pytest.mark.parametrize("size", [(160, 121), (17, 33), (1, 1)])
def test_pixels_are_pillows_bit_by_bit(subsampling, options, size, photos: list[Path]):
    with Image.open(photos[0]) as photo:
        file = stored(photo.convert("RGB").resize(size), subsampling=subsampling, **options)
    plain = plain_jpeg(file)
    assert plain is not None
    assert (plain.width, plain.height) == size
    assert np.array_equal(plain.pixels(), np.array(Image.open(file)))


def test_photos_and_their_crops_are_the_same_with_and_without_it(photos: list[Path], monkeypatch):
    crop = RandomResizedCrop(48, (0.2, 1.0))
    rows = [np.random.default_rng(seed).random(crop.width) for seed in range(2)]
    found = [read_crops(photo, [crop, crop], rows) for photo in photos]
    assert all(plain_jpeg(photo) is not None for photo in photos)
    monkeypatch.setattr(module, "_simplejpeg", lambda: None)
    for photo, ours in zip(photos, found):
        for one, other in zip(ours, read_crops(photo, [crop, crop], rows), strict=True):
            assert one.equal(other)


def test_what_is_not_plain_is_left_to_pillow(photos: list[Path], tmp_path: Path, monkeypatch):
    with Image.open(photos[0]) as photo:
        image = photo.convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    left = [stored(image.convert("L")), stored(image.convert("CMYK")), stored(image, exif=turned), BytesIO(b"\xff\xd8")]
    assert [plain_jpeg(file) for file in left] == [None] * 4
    image.save(tmp_path / "a.png")
    assert plain_jpeg(tmp_path / "a.png") is None
    assert plain_jpeg(tmp_path / "missing.jpg") is None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    assert plain_jpeg(photos[0]) is None


def test_a_cut_file_is_pillows_sentence(photos: list[Path], tmp_path: Path):
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photos[0].read_bytes()[:-4000])
    plain = plain_jpeg(cut)
    assert plain is not None
    assert plain.pixels() is None
    crop = RandomResizedCrop(48, (0.2, 1.0))
    with pytest.raises(DataError, match=r"cut\.jpg is damaged \(image file is truncated"):
        read_crops(cut, [crop], [np.full(crop.width, 0.5)])


def test_only_what_comes_before_the_pixels_says_whether_a_file_is_plain(photos: list[Path]):
    for data in [photo.read_bytes() for photo in photos]:
        scan = module._scan_at(data)
        assert data[scan : scan + 2] == b"\xff\xda"
        assert b"\xff\xda" not in data[:scan]
        assert plain_jpeg(BytesIO(data + b"MPF\0")) is not None
        assert plain_jpeg(BytesIO(data[:2] + b"\xff\xfe\x00\x06MPF\0" + data[2:])) is None
    broken = b"\xff\xd8\xff\xe0\x00\x02\x00\x00MPF\0"
    assert module._scan_at(broken) == len(broken)
