"""Encoders for use: ONNX files compared with PyTorch, a runtime without torch, an image index.

    from goodviews.export import OnnxEncoder
    vectors = OnnxEncoder("exported").encode(["a.jpg", "b.jpg"])

Importing this package costs nothing, and the names below that need no torch never import it.
"""

from typing import TYPE_CHECKING

from ..hub.lazy_names import lazy_names

if TYPE_CHECKING:
    from .backends import open_encoder as open_encoder
    from .identity import EncoderIdentity as EncoderIdentity
    from .index import ImageIndex as ImageIndex
    from .index import IndexMismatch as IndexMismatch
    from .index import Match as Match
    from .neighbours import draw_neighbours as draw_neighbours
    from .onnx_file import Exported as Exported
    from .onnx_file import export as export
    from .runtime import OnnxEncoder as OnnxEncoder
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "backends": ("open_encoder",),
            "identity": ("EncoderIdentity",),
            "index": ("ImageIndex", "IndexMismatch", "Match"),
            "neighbours": ("draw_neighbours",),
            "onnx_file": ("Exported", "export"),
            "runtime": ("OnnxEncoder",),
        },
    )
