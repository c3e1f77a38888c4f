"""Smaller networks of the same weights: half precision for size, 8-bit integers for size and speed.

Static quantisation with unsigned activations: signed ones, ONNX Runtime's default, are slower than float32 on x86 and
OpenVINO refuses them. Weights are signed, a scale a channel; pooling and the unit length stay in float32.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .write import copy_of, needs, strip

QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]  # all that costs time in a ResNet


def to_fp16(model: Any) -> Any:
    """The model with weights and arithmetic in float16; input and output stay float32."""
    half = needs("onnxruntime.transformers.float16").convert_float_to_float16(copy_of(model), keep_io_types=True)
    needs("onnxruntime.transformers.onnx_model").OnnxModel.graph_topological_sort(half.graph)  # casts come last there
    return strip(half)


def to_int8(model: Any, pixels: Iterable[np.ndarray]) -> Any:
    """The model in 8-bit integers.

    Args:
        model: takes "pixels".
        pixels: (1, 3, H, W) float32 each, normalised: the photos that the ranges of activations are from.
    """
    onnx, quantization = needs("onnx"), needs("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder:
        whole, prepared, small = (Path(folder) / name for name in ("whole.onnx", "prepared.onnx", "small.onnx"))
        onnx.save(model, whole)
        prepare = needs("onnxruntime.quantization.shape_inference").quant_pre_process
        prepare(str(whole), str(prepared), skip_symbolic_shape=True)  # which fails where height and width are free
        quantization.quantize_static(
            str(prepared),
            str(small),
            _reader(quantization.CalibrationDataReader, iter(pixels)),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=QUANTISED,
        )
        return strip(onnx.load(small))


def _reader(base: Any, pixels: Iterator[np.ndarray]) -> Any:
    """ONNX Runtime's form of an iterator; its base class is known only where ONNX Runtime is installed."""

    def get_next(_: object) -> dict[str, np.ndarray] | None:
        photo = next(pixels, None)
        return None if photo is None else {"pixels": photo}

    return type("Reader", (base,), {"get_next": get_next})()
