"""Encoders for use: ONNX files compared with PyTorch, and an image index.

    from goodviews.export import OnnxEncoder
    vectors = OnnxEncoder("exported").encode(["a.jpg", "b.jpg"])

`OnnxEncoder` lives in `goodviews.hub`; importing it, or this package, never imports torch.
"""

from typing import TYPE_CHECKING

from ..hub.lazy_names import lazy_names

if TYPE_CHECKING:
    from ..hub.onnx_encoder import OnnxEncoder as OnnxEncoder
    from .index.image_index import ImageIndex as ImageIndex
    from .index.image_index import IndexMismatch as IndexMismatch
    from .index.item import Match as Match
    from .onnx.onnx_file import Export as Export
    from .onnx.onnx_file import export as export
    from .search.neighbours import draw_neighbours as draw_neighbours
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            ".hub.onnx_encoder": ("OnnxEncoder",),
            "index.image_index": ("ImageIndex", "IndexMismatch"),
            "index.item": ("Match",),
            "onnx.onnx_file": ("Export", "export"),
            "search.neighbours": ("draw_neighbours",),
        },
    )
