"""Encoders for use: ONNX files compared with PyTorch, a runtime without torch, an image index.

    from goodviews.export import OnnxEncoder
    vectors = OnnxEncoder("exported").encode(["a.jpg", "b.jpg"])

Importing this package costs nothing, and the names below that need no torch never import it.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "OnnxEncoder": "runtime",
    "export": "onnx_file",
    "Exported": "onnx_file",
    "ImageIndex": "index",
    "IndexMismatch": "index",
    "Match": "index",
    "EncoderIdentity": "identity",
    "open_encoder": "backends",
    "draw_neighbours": "neighbours",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
