"""What runs an exported file: ONNX Runtime, or OpenVINO on the same file. Only this module imports either here.

ONNX Runtime computes as the file says. OpenVINO is told to compute float files in float32: left alone it takes bf16
where the processor has it, which is another encoder. Files that take photos are refused there: its resize differs, by
0.05 in cosine for an encoder of 56 px.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from .errors import ArtifactError, MissingExtra, UsageError

Runtime = Literal["onnxruntime", "openvino"]
# Short names of the providers that people ask for; ONNX Runtime's own names are taken too.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def installed_runtimes() -> dict[Runtime, str]:
    """Those that are installed, with their names for people."""
    names: dict[Runtime, str] = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    return {key: name for key, name in names.items() if find_spec(key) is not None}


class Session(Protocol):
    """An opened file."""

    @property
    def note(self) -> str | None:
        """What goodviews wrote into the file; None for a file of others."""
        ...

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs of the file, in its order, for its one input."""
        ...


def open_session(
    path: Path, key: str, *, runtime: Runtime, threads: int | None, providers: Sequence[str] | None
) -> Session:
    """Open a file with one of the runtimes.

    Args:
        path: an .onnx file.
        key: under which the file's metadata holds our note.
        threads: of the runtime's own pool; None leaves the number to it.
        providers: of ONNX Runtime, by their own or their short names, the preferred first; None takes the processor.

    Raises:
        ArtifactError: the file is damaged, or no ONNX file.
        MissingExtra: the runtime is not installed.
        UsageError: there is no such runtime or provider, or `threads` is below 1.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be 1 or more.")
    if runtime == "onnxruntime":
        return _OnnxRuntime(path, key, threads, providers or ("cpu",))
    if runtime != "openvino":
        raise UsageError(f"runtime is {runtime}; it must be onnxruntime or openvino.")
    if providers is not None:
        raise UsageError("OpenVINO has no providers; leave providers out, or take runtime='onnxruntime'.")
    return _OpenVino(path, key, threads)


class _OnnxRuntime:
    def __init__(self, path: Path, key: str, threads: int | None, providers: Sequence[str]):
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise MissingExtra("onnxruntime", extra="onnx", needed_for="Running an exported encoder") from None
        names = [providers] if isinstance(providers, str) else providers
        wanted = _available([PROVIDERS.get(name, name) for name in names], onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        # Threads that wait leave the processor to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=wanted)
        except Exception as error:  # ONNX Runtime raises a dozen private classes; all mean the file is no usable model
            raise _not_complete(path, error) from None
        running = self._session.get_providers()
        if wanted[0] not in running:  # it falls back silently where a driver is missing
            raise UsageError(
                f"ONNX Runtime has {wanted[0]}, but cannot start it on this machine; check the driver, or leave it out."
            )
        self._input = self._session.get_inputs()[0].name
        self.note: str | None = self._session.get_modelmeta().custom_metadata_map.get(key)

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(None, {self._input: batch})
        return outputs


class _OpenVino:
    def __init__(self, path: Path, key: str, threads: int | None):
        try:
            import openvino
        except ModuleNotFoundError:
            raise MissingExtra("openvino", extra="openvino", needed_for="runtime='openvino'") from None
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(path)
            self._compiled: Any = openvino.compile_model(model, "CPU", settings)
        except Exception as error:  # RuntimeError and classes of its own; all mean the file is no usable model
            raise _not_complete(path, error) from None
        if any(operation.get_type_name() == "Interpolate" for operation in model.get_ops()):
            raise UsageError(
                f"{path} resizes photos, which OpenVINO does otherwise: its vectors would be others. Take "
                "runtime='onnxruntime', or of an encoder the folder or model_pixels.onnx."
            )
        described = model.get_rt_info(["framework", key]).astype(str) if model.has_rt_info(["framework", key]) else None
        self.note: str | None = described

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        results = self._compiled(np.ascontiguousarray(batch))
        return [np.array(results[output]) for output in self._compiled.outputs]


def _available(wanted: list[str], present: Sequence[str]) -> list[str]:
    missing = next((name for name in wanted if name not in present), None)
    if missing is not None:
        others = ", ".join(name for name in present if name != "AzureExecutionProvider")
        raise UsageError(
            f"This ONNX Runtime has no {missing}, only {others}; for CUDA and TensorRT install onnxruntime-gpu "
            "in place of onnxruntime, or leave providers out."
        )
    return wanted


def _not_complete(path: Path, error: Exception) -> ArtifactError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ArtifactError(f"{path} is not a complete ONNX file ({reason}); export it again.")
