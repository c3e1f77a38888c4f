import csv
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.hub import DataError, SkippedImages, UsageError, read_image
from goodviews.hub.deep_pixels import parse_values, split_values
from goodviews.hub.images import as_photo

IN_DOUBT = {"16bit.cropped.tif", "i_trns.png"}  # 16 bits, of which the values use 10 and 8


def test_every_odd_file_loads_as_rgb_or_is_refused_in_one_sentence(odd_files):
    for row in csv.DictReader((odd_files / "manifest.csv").open()):
        path = odd_files / row["file"]
        if not path.is_file():
            continue
        if row["load"] == "ok" and path.name not in IN_DOUBT:
            assert read_image(path).mode == "RGB", path.name
        else:
            with pytest.raises(DataError, match=path.name.replace(".", r"\.")) as refused:
                read_image(path)
            assert "\n" not in str(refused.value)


def test_exif_rotation_brings_all_orientations_to_the_same_picture(odd_files):
    upright = np.asarray(read_image(odd_files / "hopper.webp").resize((32, 32)), float)
    for name in ("hopper_orientation_2.jpg", "hopper_orientation_6.jpg", "hopper_orientation_8.jpg"):
        turned = np.asarray(read_image(odd_files / name).resize((32, 32)), float)
        assert np.abs(turned - upright).mean() < 12, name


def test_sixteen_bits_are_scaled_rather_than_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    read = np.asarray(read_image(tmp_path / "ramp.png"))[..., 0]
    np.testing.assert_allclose(read.ravel(), np.arange(256), atol=1)


def deep(tmp_path: Path, values: np.ndarray, name: str = "deep.png", mode: str | None = None) -> Path:
    Image.fromarray(values, mode).save(tmp_path / name)
    return tmp_path / name


RAMP_12 = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)


def test_twelve_bits_in_sixteen_are_refused_until_their_range_is_declared(tmp_path):
    path = deep(tmp_path, RAMP_12)
    with pytest.raises(DataError, match=r"deep\.png has values from 0 to 4095 in 16 bits.*--values 0\.\.4095"):
        read_image(path)
    read = np.asarray(read_image(path, values=(0, 4095)))
    np.testing.assert_array_equal(read[..., 0].ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.array([[0.0, np.nan]], np.float32), "NaN or infinity"),
        (np.array([[0.0, 255.0]], np.float32), "floating-point values from 0 to 255"),
        (np.array([[-0.5, 0.9]], np.float32), "floating-point values from -0.5 to 0.9"),
        (np.array([[0.0, 0.06]], np.float32), "floating-point values from 0 to 0.06"),
        (np.array([[-1000, 400]], np.int32), "values from -1000 to 400"),
    ],
)
def test_values_that_may_mean_anything_are_refused(tmp_path, values, sentence):
    path = deep(tmp_path, values, "scan.tif")
    with pytest.raises(DataError, match=sentence):
        read_image(path)


def test_signed_and_floating_values_are_read_by_a_declared_range(tmp_path):
    scan = deep(tmp_path, np.array([[-2000, -1000, -300, 400, 3000]], np.int32), "scan.tif")
    assert np.asarray(read_image(scan, values=(-1000, 400)))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    scores = deep(tmp_path, np.array([[0.0, 0.5, 1.0]], np.float32), "scores.tif")
    assert np.asarray(read_image(scores))[0, :, 0].tolist() == [0, 128, 255]


def test_a_dark_colour_file_of_sixteen_bits_is_refused_and_a_bright_one_read(odd_files, tmp_path):
    assert read_image(odd_files / "tiff_16bit_RGB.tiff").mode == "RGB"
    path = tmp_path / "dark.png"
    write_colour_png(path, RAMP_12)
    with pytest.raises(DataError, match="nothing says which is white"):
        read_image(path)
    with pytest.raises(DataError, match="convert it to 8 bits"):
        read_image(path, values=(0, 4095))
    with pytest.raises(DataError, match=r"a file of \d+ bytes has values up to about 4095 in 16 bits"):
        as_photo(path.read_bytes())


def write_colour_png(path: Path, gray: np.ndarray) -> None:
    """16 bits a channel, which Pillow reads and cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = gray.shape
    rows = b"".join(b"\0" + np.repeat(row, 3).astype(">u2").tobytes() for row in gray)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def test_ranges_are_two_numbers_the_lower_first():
    assert parse_values("-1000..400") == (-1000.0, 400.0)
    assert split_values("a/b#values=0..4095") == ("a/b", (0.0, 4095.0))
    assert split_values("owner/name@main") == ("owner/name@main", None)
    for text in ("4095", "5..5", "9..1", "a..b", "0..inf", "nan..1", ""):
        with pytest.raises(UsageError, match=r"LOW\.\.HIGH"):
            parse_values(text)


@pytest.mark.parametrize("image", [None, 3, [b"\xff\xd8" * 9999]])
def test_what_is_no_image_is_named_by_its_type_not_by_its_content(image):
    with pytest.raises(DataError, match=f"of the type {type(image).__name__}") as refusal:
        as_photo(image)
    assert len(str(refusal.value)) < 150


def test_transparency_is_seen_over_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_an_animation_shows_its_first_frame(tmp_path):
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
    assert read_image(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


def test_a_missing_file_a_folder_and_a_giant_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)
    Image.new("L", (100, 100)).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="million pixels"):
        read_image(tmp_path / "big.png")


def test_skipped_images_are_counted_named_and_listed(tmp_path):
    skipped = SkippedImages()
    for i in range(7):
        skipped.add(f"{i}.jpg", "cut", i)
    assert skipped.summary() == (
        "7 images could not be read and were skipped: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more"
    )
    assert skipped.write(tmp_path / "skipped.txt").read_text().splitlines()[3] == "3.jpg\tcut"
