"""The runtimes of exported files: OpenVINO gives ONNX Runtime's vectors; what is not there is named."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import ArtifactError, MissingExtra, OnnxEncoder, UsageError


def test_openvino_gives_the_vectors_of_onnx_runtime(exported: Export, gallery: list[Path]):
    pytest.importorskip("openvino", reason="needs the extra openvino")
    found = OnnxEncoder(exported.folder, runtime="openvino", threads=1).encode(gallery[:3])
    expected = OnnxEncoder(exported.folder, threads=1).encode(gallery[:3])
    assert (found * expected).sum(axis=1).min() > 0.9999


def test_a_file_that_takes_photos_is_refused_by_openvino_whose_resize_differs(exported: Export):
    pytest.importorskip("openvino", reason="needs the extra openvino")
    with pytest.raises(UsageError, match=r"resizes photos, which OpenVINO does otherwise.* model_pixels\.onnx"):
        OnnxEncoder(exported.folder / "model.onnx", runtime="openvino")


def test_a_pickled_encoder_opens_its_file_again(exported: Export, gallery: list[Path]):
    opened = OnnxEncoder(exported.folder, threads=1)
    copied = pickle.loads(pickle.dumps(opened))
    assert copied.id == opened.id
    np.testing.assert_array_equal(copied.encode(gallery[:1]), opened.encode(gallery[:1]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"providers": ["cuda"]}, "no CUDAExecutionProvider, only CPUExecutionProvider; .* onnxruntime-gpu"),
        ({"providers": ["tensorrt", "cpu"]}, "no TensorrtExecutionProvider"),
        ({"providers": ["cpu"], "runtime": "openvino"}, "OpenVINO has no providers"),
        ({"runtime": "tflite"}, "onnxruntime or openvino"),
        ({"variant": "int4"}, "fp32, fp16, int8"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_a_runtime_provider_or_variant_that_is_not_there_is_named(exported: Export, options, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        OnnxEncoder(exported.folder, **options)


def test_a_variant_that_was_not_exported_is_named_with_the_option_that_writes_it(exported: Export):
    with pytest.raises(ArtifactError, match="no int8 file; export the encoder again with --int8"):
        OnnxEncoder(exported.folder, variant="int8")
    with pytest.raises(UsageError, match="is fp32, not int8"):
        OnnxEncoder(exported.folder / "model.onnx", variant="int8")


def test_a_missing_openvino_is_named_with_its_extra(exported: Export, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match="needs openvino"):
        OnnxEncoder(exported.folder, runtime="openvino")
