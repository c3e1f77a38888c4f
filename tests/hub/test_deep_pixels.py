"""Photos of more than 8 bits: a declared range of values travels with the encoder, and every reader applies it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import DataError, Encoder, OnnxEncoder, from_pretrained, open_encoder, save
from goodviews.hub.artifact import load
from goodviews.hub.identity import EncoderId
from goodviews.hub.images import read_image
from goodviews.hub.preprocessing import LONGEST_STRIP, middle
from goodviews.transfer.datasets.labelled_photos import LabelledPhoto, read_photo


@pytest.fixture
def scan(gallery: list[Path], tmp_path: Path) -> Path:
    """A photo as 12-bit values in a 16-bit file."""
    gray = np.asarray(read_image(gallery[0]).convert("L"), np.float64)
    Image.fromarray((gray / 255 * 4095).round().astype(np.uint16)).save(tmp_path / "scan.png")
    return tmp_path / "scan.png"


@pytest.fixture
def gray(gallery: list[Path]) -> Image.Image:
    return read_image(gallery[0]).convert("L").convert("RGB")


def test_an_encoder_with_a_range_sees_12_bits_as_the_8_bits_they_are_of(
    spread_encoder: Encoder, exported: Export, scan: Path, gray: Image.Image, tmp_path: Path
):
    folder = save(spread_encoder, tmp_path / "encoder")
    for name in (folder, exported.folder, exported.folder / "model.onnx"):
        with pytest.raises(DataError, match=r"--encoder E#values=0\.\.4095"):
            open_encoder(name).encode([scan])
        encoder = open_encoder(f"{name}#values=0..4095")
        np.testing.assert_array_equal(encoder.encode([scan]), encoder.encode([gray]))
        assert encoder.source is not None
        assert Path(encoder.source).exists()
        assert encoder.id.preprocessing is not None
        assert encoder.id.preprocessing.values == (0, 4095)
        [difference] = encoder.id.differences(open_encoder(name).id)
        assert "values 0..4095" in difference


def test_the_range_is_written_into_config_json_and_read_back(spread_encoder: Encoder, tmp_path: Path):
    encoder = from_pretrained(f"{save(spread_encoder, tmp_path / 'plain')}#values=-1000..400")
    folder = save(encoder, tmp_path / "encoder")
    assert json.loads((folder / "config.json").read_text("utf-8"))["goodviews"]["values"] == [-1000, 400]
    assert load(folder).preprocessing.values == (-1000, 400)
    assert EncoderId.from_json(encoder.id.to_json(), folder) == encoder.id
    assert "values" not in (tmp_path / "plain" / "config.json").read_text("utf-8")


@pytest.mark.parametrize("values", [[5, 5], [1], "0..1", [0, 1e300], [9, 1], [None, 1]])
def test_a_range_that_is_none_is_refused(spread_encoder: Encoder, tmp_path: Path, values: object):
    folder = save(spread_encoder, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["goodviews"]["values"] = values
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(Exception, match=r"config\.json has .*goodviews\.values"):
        load(folder)


def test_detection_reads_deep_and_transparent_photos_as_everything_else_does(scan: Path, tmp_path: Path):
    Image.new("RGBA", (40, 30), (255, 0, 0, 128)).save(tmp_path / "clear.png")
    Image.fromarray(np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)).save(tmp_path / "full.png")
    for name in ("clear.png", "full.png"):
        photo = LabelledPhoto(name, tmp_path / name, 1, 1, ())
        np.testing.assert_array_equal(np.asarray(read_photo(photo)), np.asarray(read_image(tmp_path / name)))
    photo = LabelledPhoto("scan", scan, 1, 1, ())
    with pytest.raises(DataError, match="declare the range"):
        read_photo(photo)
    declared = LabelledPhoto("scan", scan, 1, 1, (), values=(0, 4095))
    np.testing.assert_array_equal(np.asarray(read_photo(declared)), np.asarray(read_image(scan, values=(0, 4095))))


def test_a_strip_takes_memory_as_its_crop_does(spread_encoder: Encoder, exported: Export, tmp_path: Path):
    """Resized whole, the strips would take 11 GB and more."""
    draw = np.random.default_rng(0)
    strips = [tmp_path / "wide.png", tmp_path / "tall.png"]
    Image.fromarray(draw.integers(0, 255, (1, 60_000, 3), np.uint8)).save(strips[0])
    Image.fromarray(draw.integers(0, 255, (65_500, 1, 3), np.uint8)).save(strips[1])
    ours = spread_encoder.encode(strips)
    for name in ("model.onnx", "model_pixels.onnx"):
        np.testing.assert_allclose(OnnxEncoder(exported.folder / name).encode(strips), ours, atol=2e-2)


@pytest.mark.parametrize("size", [(1600, 100), (1601, 100), (1603, 100), (100, 5000), (7, 7)])
def test_of_a_strip_the_middle_stays_in_the_middle(size: tuple[int, int]):
    photo = Image.fromarray(np.arange(size[0] * size[1], dtype=np.int32).reshape(size[::-1]))
    part = np.asarray(middle(photo))
    whole = np.asarray(photo)
    assert max(part.shape) <= LONGEST_STRIP * min(part.shape) + 1
    assert part.shape[0] == whole.shape[0] or part.shape[1] == whole.shape[1]
    assert part.min() + part.max() == whole.min() + whole.max()
    assert part.shape == whole.shape or max(size) > LONGEST_STRIP * min(size)
