"""From a network in PyTorch to an ONNX file: traced, stripped of this machine, checked, joined, saved with its note."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...hub.errors import GoodviewsError, MissingExtra
from ...hub.files.atomic import write_bytes
from ...hub.onnx_encoder import METADATA_KEY

OPSET, IR_VERSION = 20, 10  # the newest that the oldest allowed ONNX Runtime reads is 21 and 10


class ExportFailed(GoodviewsError):
    """The network cannot be exported, or the file does not give PyTorch's vectors; nothing was written."""


def trace_image(module: nn.Module, px: int) -> Any:
    """An ONNX model with the input "image" and the output "pixels"."""
    # Sides that differ from each other and from px, so that none is taken for a constant.
    example = torch.zeros(2, px + 83, px + 141, 3, dtype=torch.uint8)
    return _trace(module, example, "image", ["pixels"], {0: "batch", 1: "height", 2: "width"})


def trace_pixels(module: nn.Module, px: int, outputs: Sequence[str]) -> Any:
    """An ONNX model with the input "pixels"."""
    return _trace(module, torch.zeros(2, 3, px, px + 32), "pixels", outputs, {0: "batch", 2: "height", 3: "width"})


def join(first: Any, second: Any) -> Any:
    """One model that runs two, one after the other: the first gives "pixels", the second takes them."""
    compose = needs("onnx").compose
    first, second = compose.add_prefix(first, "prepare_", rename_inputs=False, rename_outputs=False), copy_of(second)
    for model in (first, second):
        del model.graph.value_info[:]  # shapes by name, which mean different sizes in the two
    joined = compose.merge_models(first, second, io_map=[("pixels", "pixels")])
    versions = {domain.domain: domain.version for domain in joined.opset_import}  # it lists shared ones twice
    del joined.opset_import[:]
    joined.opset_import.extend(needs("onnx").helper.make_opsetid(*each) for each in versions.items())
    return strip(joined)


def strip(model: Any) -> Any:
    """Remove what torch writes about this machine: stack traces with its paths, at every node and value."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
            assert not any(attribute.HasField("g") for attribute in node.attribute)
        for value in graph.value_info:
            del value.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.ir_version = min(model.ir_version, IR_VERSION)
    return model


def save(model: Any, path: Path, note: dict[str, Any]) -> Path:
    """Check the model and write it with our note in its metadata.

    Raises:
        ExportFailed: onnx finds it wrong.
    """
    onnx = needs("onnx")
    text = json.dumps(note, ensure_ascii=False, allow_nan=False)
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportFailed(f"{path.name} is no sound ONNX model ({reason}); nothing was written.") from error
    return write_bytes(path, model.SerializeToString(deterministic=True))


def copy_of(model: Any) -> Any:
    """A model of its own, with the same content."""
    copied = type(model)()
    copied.CopyFrom(model)
    return copied


def needs(package: str) -> Any:
    """An optional package.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise MissingExtra(package.split(".")[0], extra="onnx", needed_for="Exporting an encoder") from None


def _trace(module: nn.Module, example: Tensor, name: str, outputs: Sequence[str], axes: dict[int, str]) -> Any:
    needs("onnx")
    needs("onnxscript")
    try:
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=[name],
            output_names=list(outputs),
            dynamic_shapes=(axes,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportFailed(f"PyTorch cannot write this network as ONNX ({reason}); nothing was written.") from error
    assert program is not None
    return strip(program.model_proto)
