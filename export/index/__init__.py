"""The image index: photos and their vectors in a folder that grows and shrinks with its photos, and its search."""

from typing import TYPE_CHECKING

from ...hub.lazy_names import lazy_names

if TYPE_CHECKING:
    from .image_index import ImageIndex as ImageIndex
    from .image_index import IndexMismatch as IndexMismatch
    from .image_index import load as load
    from .item import Filter as Filter
    from .item import Item as Item
    from .item import Match as Match
    from .state import read_generation as read_generation
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "image_index": ("ImageIndex", "IndexMismatch", "load"),
            "item": ("Filter", "Item", "Match"),
            "state": ("read_generation",),
        },
    )
