"""OnnxEncoder: no torch, PyTorch's vectors, any mixture of images, clear refusals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import (
    ArtifactError,
    DataError,
    Encoder,
    MissingExtra,
    OnnxEncoder,
    SkippedImages,
    UsageError,
)
from goodviews.hub.images import read_image

pytestmark = pytest.mark.oldest

FILES = ("model.onnx", "model_pixels.onnx")


@pytest.fixture(scope="module")
def encoder(spread_encoder: Encoder) -> Encoder:
    return spread_encoder


def test_nothing_but_numpy_pillow_and_onnx_runtime_is_imported(exported: Export, encoder: Encoder, gallery: list[Path]):
    code = f"""
import sys
for name in ("torch", "torchvision", "timm", "onnx", "faiss", "rich", "cyclopts", "jinja2", "safetensors"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
from goodviews.export import OnnxEncoder
from goodviews.hub import open_encoder
vectors = open_encoder({str(exported.folder)!r}).encode([{str(gallery[0])!r}], progress=True)
OnnxEncoder({str(exported.folder)!r})
print(vectors[0, :4].tolist())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(eval(ran.stdout), encoder.encode(gallery[:1])[0, :4], atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_a_vector_does_not_depend_on_what_shares_its_batch(exported: Export, gallery: list[Path], name: str):
    opened = OnnxEncoder(exported.folder / name)
    alone = np.concatenate([opened.encode([path]) for path in gallery[:6]])
    for batch_size in (2, 5, 64):
        np.testing.assert_allclose(opened.encode(gallery[:6], batch_size=batch_size), alone, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_rows_are_unit_float32_in_the_order_given(exported: Export, gallery: list[Path], name: str):
    opened = OnnxEncoder(exported.folder / name)
    forth, back = opened.encode(gallery[:5]), opened.encode(gallery[:5][::-1])
    assert forth.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(forth, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(forth, back[::-1], atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_decoding_in_worker_processes_changes_nothing(
    exported: Export, gallery: list[Path], name: str, odd_files: Path
):
    opened = OnnxEncoder(exported.folder / name)
    images = [*gallery[:5], odd_files / "made_empty.jpg", read_image(gallery[5])]
    ours, theirs = SkippedImages(), SkippedImages()
    np.testing.assert_array_equal(opened.encode(images, workers=2, skipped=ours), opened.encode(images, skipped=theirs))
    assert (ours.items, ours.positions) == (theirs.items, theirs.positions)
    assert ours.positions == [5]


@pytest.fixture
def odd_images(tmp_path: Path, gallery: list[Path]) -> list[Path]:
    """One photo as grey, CMYK, lying on its side with EXIF, palette, transparent, 16-bit; and one file cut short."""
    photo = read_image(gallery[1])
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.convert("L").save(tmp_path / "gray.jpg")
    photo.convert("CMYK").save(tmp_path / "cmyk.jpg")
    photo.save(tmp_path / "turned.jpg", exif=turned)
    photo.quantize(32).save(tmp_path / "palette.png")
    photo.convert("RGBA").rotate(20).save(tmp_path / "transparent.png")
    deep = np.asarray(photo.convert("L"), np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    whole = (tmp_path / "gray.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_odd_images_are_read_as_pytorch_reads_them(
    exported: Export, encoder: Encoder, odd_images: list[Path], name: str
):
    ours, theirs = SkippedImages(), SkippedImages()
    found = OnnxEncoder(exported.folder / name).encode(odd_images, skipped=ours)
    expected = encoder.encode(odd_images, skipped=theirs)
    assert ours.items == theirs.items
    assert ours.positions == theirs.positions == [[path.name for path in odd_images].index("cut.jpg")]
    assert (1 - (found * expected).sum(axis=1)).max() < 1e-3


def test_every_robustness_file_is_read_or_skipped_as_by_pytorch(exported: Export, encoder: Encoder, odd_files: Path):
    paths = [path for path in sorted(odd_files.glob("*")) if path.is_file()]
    if not paths:
        pytest.skip("tests/robustness holds no files")
    ours, theirs = SkippedImages(), SkippedImages()
    found = OnnxEncoder(exported.folder).encode(paths, skipped=ours)
    expected = encoder.encode(paths, skipped=theirs)
    assert ours.items == theirs.items
    assert len(found) + len(ours) == len(paths)
    assert (1 - (found * expected).sum(axis=1)).max() < 1e-5


def test_paths_pillow_images_and_arrays_mix(exported: Export, gallery: list[Path]):
    opened = OnnxEncoder(exported.folder)
    image = read_image(gallery[0])
    rows = opened.encode([gallery[0], str(gallery[0]), image, np.asarray(image)])
    np.testing.assert_allclose(rows, rows[:1].repeat(4, axis=0), atol=1e-6)


def test_an_unreadable_image_is_an_error_unless_skipping_was_asked_for(exported: Export, tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    opened = OnnxEncoder(exported.folder)
    with pytest.raises(DataError, match=r"broken\.jpg"):
        opened.encode([tmp_path / "broken.jpg"])
    assert opened.encode([tmp_path / "broken.jpg"], skipped=SkippedImages()).shape == (0, opened.num_features)
    with pytest.raises(DataError, match="uint8 RGB"):
        opened.encode([np.zeros((4, 4), np.float32)])


def test_no_images_give_no_rows(exported: Export):
    assert OnnxEncoder(exported.folder).encode([]).shape == (0, 512)


def test_foreign_damaged_and_missing_files_are_refused_in_one_sentence(exported: Export, tmp_path: Path):
    with pytest.raises(ArtifactError, match="holds no exported encoder"):
        OnnxEncoder(tmp_path)
    (tmp_path / "foreign.onnx").write_bytes(foreign_model())
    with pytest.raises(ArtifactError, match="not exported by goodviews"):
        OnnxEncoder(tmp_path / "foreign.onnx")
    (tmp_path / "cut.onnx").write_bytes((exported.folder / "model.onnx").read_bytes()[:100_000])
    with pytest.raises(ArtifactError, match="not a complete ONNX file") as refused:
        OnnxEncoder(tmp_path / "cut.onnx")
    assert "\n" not in str(refused.value)
    model = onnx.load(exported.folder / "model_pixels.onnx")
    helper.set_model_props(model, {"goodviews": '{"format": 99, "input": "pixels"}'})
    onnx.save(model, tmp_path / "later.onnx")
    with pytest.raises(ArtifactError, match="99 for format"):
        OnnxEncoder(tmp_path / "later.onnx")


def test_impossible_requests_are_refused(exported: Export, gallery: list[Path]):
    with pytest.raises(UsageError, match="threads is 0"):
        OnnxEncoder(exported.folder, threads=0)
    opened = OnnxEncoder(exported.folder, threads=1)
    with pytest.raises(UsageError, match="batch_size is 0"):
        opened.encode(gallery, batch_size=0)
    with pytest.raises(UsageError, match="workers is -1"):
        opened.encode(gallery, workers=-1)
    with pytest.raises(UsageError, match="unit vectors only"):
        opened.encode(gallery, normalise=False)
    with pytest.raises(UsageError, match="list of images"):
        opened.encode(gallery[0])  # type: ignore[arg-type]


def test_a_missing_onnxruntime_is_named_with_the_way_to_get_it(exported: Export, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        OnnxEncoder(exported.folder)


def foreign_model() -> bytes:
    """y = relu(x): valid, but nothing says how a photo becomes x."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
