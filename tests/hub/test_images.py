import csv

import numpy as np
import pytest
from PIL import Image

from goodviews.hub import DataError, SkippedImages, read_image


def test_every_odd_file_loads_as_rgb_or_is_refused_in_one_sentence(odd_files):
    for row in csv.DictReader((odd_files / "manifest.csv").open()):
        path = odd_files / row["file"]
        if not path.is_file():
            continue
        if row["load"] == "ok":
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
