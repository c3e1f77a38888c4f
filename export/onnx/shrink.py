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

EXACT = ["ReduceMean", "Reshape", "ReduceL2", "Clip", "Expand", "Div"]  # in float16 a vector is 2e-4 too long or short
QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]  # all that costs time in a ResNet


def to_fp16(model: Any) -> Any:
    """The model with weights and arithmetic in float16; input, output, pooling and the unit length stay float32."""
    float16 = needs("onnxruntime.transformers.float16")
    in_float32 = [*float16.DEFAULT_OP_BLOCK_LIST, *EXACT]
    half = float16.convert_float_to_float16(copy_of(model), keep_io_types=True, op_block_list=in_float32)
    _remove_detours(half.graph, needs("onnx").TensorProto)
    needs("onnxruntime.transformers.onnx_model").OnnxModel.graph_topological_sort(half.graph)  # casts come last there
    return strip(half)


def _remove_detours(graph: Any, types: Any) -> None:
    """Casts to float16 and at once back, which the conversion puts between nodes that stay in float32."""

    def casts_to(kind: int) -> list[Any]:
        return [node for node in graph.node if node.op_type == "Cast" and node.attribute[0].i == kind]

    halved = {node.output[0]: node.input[0] for node in casts_to(types.FLOAT16)}
    straight = {node.output[0]: halved[node.input[0]] for node in casts_to(types.FLOAT) if node.input[0] in halved}
    outputs = {each.name for each in graph.output}
    results: dict[str, str] = {straight[name]: name for name in outputs & straight.keys()}

    def place(name: str) -> str:
        name = straight.get(name, name)
        return results.get(name, name)

    rest = [node for node in graph.node if node.output[0] not in straight]
    for node in rest:
        node.input[:] = [place(name) for name in node.input]
        node.output[:] = [place(name) for name in node.output]
    used = outputs | {name for node in rest for name in node.input}
    kept = [node for node in rest if used & set(node.output)]
    del graph.node[:]
    graph.node.extend(kept)


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
