"""The exported files: as PyTorch, on every shape; nothing of this machine inside; nothing left when they are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import goodviews.export
from goodviews.export.onnx import graphs
from goodviews.export.onnx.graphs import ImageToPixels, PixelsToVector
from goodviews.export.onnx.judge import LIMITS
from goodviews.export.onnx.onnx_file import Export, export
from goodviews.export.onnx.trial_photos import SIZES, trial_photos, users_photos
from goodviews.export.onnx.write import ExportFailed
from goodviews.hub import DataError, Encoder, OnnxEncoder, OutputExists, Preprocessing, SkippedImages
from goodviews.hub.images import read_image

pytestmark = pytest.mark.oldest


def test_every_public_name_leads_somewhere():
    for name in goodviews.export.__all__:
        assert callable(getattr(goodviews.export, name))
    with pytest.raises(AttributeError):
        goodviews.export.nothing  # noqa: B018


def cosine_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 1 - (a.astype(np.float64) * b.astype(np.float64)).sum(axis=1)


def test_plain_file_gives_pytorchs_vectors_of_real_photos(exported: Export, encoder: Encoder, gallery: list[Path]):
    pixels = torch.stack([encoder.preprocess(path) for path in gallery])
    with torch.inference_mode():
        expected = encoder.embed(pixels).numpy()
    found = OnnxEncoder(exported.folder / "model_pixels.onnx").embed(pixels.numpy())
    assert cosine_distances(found, expected).max() < 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_image_file_prepares_every_shape_as_pillow_does(exported: Export, encoder: Encoder, size: tuple[int, int]):
    image = trial_photos()[SIZES.index(size)]
    expected = encoder.encode([image])
    found = OnnxEncoder(exported.folder / "model.onnx").encode([image])
    assert cosine_distances(found, expected)[0] < 1e-3  # a crop one pixel off costs over 1e-2 at 64 px


def test_vectors_of_different_photos_lie_apart_so_that_the_comparison_says_something(exported: Export):
    assert exported.image.spread > 0.05
    assert exported.image.largest < 1e-2 * exported.image.spread
    assert exported.pixels.largest < 1e-6


def test_bicubic_preparation_in_the_graph_is_pillows(encoder: Encoder, gallery: list[Path]):
    bicubic = Encoder(encoder.backbone, Preprocessing(64, 1.0, "bicubic"), encoder.origin).eval()
    module = image_to_vector(bicubic)
    for path in gallery[:4]:
        image = read_image(path)
        with torch.inference_mode():
            found = module(torch.from_numpy(np.array(image))[None]).numpy()
        assert cosine_distances(found, bicubic.encode([image]))[0] < 1e-4


def image_to_vector(encoder: Encoder) -> torch.nn.Sequential:
    return torch.nn.Sequential(ImageToPixels(encoder.preprocessing), PixelsToVector(encoder)).eval()


def test_image_file_takes_a_batch_of_one_size(exported: Export, encoder: Encoder):
    images = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (90, 131, 3), np.uint8)) for i in range(3)]
    found = OnnxEncoder(exported.folder / "model.onnx").embed(np.stack([np.asarray(image) for image in images]))
    assert found.shape == (3, encoder.num_features)
    assert cosine_distances(found, encoder.encode(images)).max() < 1e-3


def test_files_and_folder_say_whose_they_are_and_how_far_from_pytorch(exported: Export, encoder: Encoder):
    described = json.loads((exported.folder / "export.json").read_text())
    for name in ("model.onnx", "model_pixels.onnx"):
        opened = OnnxEncoder(exported.folder / name)
        assert opened.id == encoder.id
        assert opened.measured == described["files"][name]["difference_from_pytorch"]
        assert 0 <= opened.measured["largest"] < opened.measured["limit"]
    assert described["encoder"]["weights_sha256"] == encoder.id.weights_sha256


def test_files_name_no_place_of_this_machine(exported: Export):
    for path in exported.folder.iterdir():
        content = path.read_bytes()
        for place in (
            b"site-packages",
            b"onnx_file.py",
            b"graphs.py",
            str(Path.home()).encode() + b"/",
            str(Path.cwd()).encode(),
        ):
            assert place not in content, f"{path.name} holds {place!r}"


def test_exporting_leaves_the_encoder_as_it_was(exported: Export, encoder: Encoder, encoder_folder: Path):
    from goodviews.hub import load

    stored = load(encoder_folder)
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, stored.backbone.state_dict()[name])


def test_a_file_that_differs_from_pytorch_fails_the_export_and_leaves_nothing(
    traced: None, other_encoder: Encoder, tmp_path: Path
):
    with pytest.raises(ExportFailed, match=r"model_pixels\.onnx is .* away from PyTorch"):
        export(other_encoder, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_crop_one_pixel_off_is_beyond_the_limit(encoder: Encoder, monkeypatch: pytest.MonkeyPatch):
    photos = trial_photos()
    expected = encoder.encode(photos)
    right, wrong = (largest_difference(encoder, photos, expected, monkeypatch, offset) for offset in (0, 1))
    assert right < 1e-4
    assert wrong > (LIMITS["fp32", "image"].largest or 0)


def largest_difference(
    encoder: Encoder, photos: list[Image.Image], expected: np.ndarray, patch: pytest.MonkeyPatch, offset: int
) -> float:
    half_to_even = graphs.half_to_even
    with patch.context() as patched, torch.inference_mode():
        patched.setattr(graphs, "half_to_even", lambda difference: max(half_to_even(difference) - offset, 0))
        module = image_to_vector(encoder)
        found = np.concatenate([module(torch.from_numpy(np.array(photo))[None]).numpy() for photo in photos])
    return cosine_distances(found, expected).max()


def test_an_existing_folder_is_refused_before_any_work(encoder: Encoder, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists):
        export(encoder, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_one_photo_is_too_few_to_compare_on(encoder: Encoder, gallery: list[Path], tmp_path: Path):
    with pytest.raises(DataError, match="at least 2 photos"):
        export(encoder, tmp_path / "out", photos=[read_image(gallery[0])])


def test_users_photos_leave_out_the_unreadable_and_refuse_a_folder_of_them(tmp_path: Path, gallery: list[Path]):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    skipped = SkippedImages()
    with pytest.raises(DataError, match="None of the images"):
        users_photos(tmp_path, skipped)
    (tmp_path / "good.jpg").write_bytes(gallery[0].read_bytes())
    assert len(users_photos(tmp_path, SkippedImages())) == 1
    assert len(skipped) == 1
