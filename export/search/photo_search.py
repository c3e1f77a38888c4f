"""Looking up photos in an index."""

from collections.abc import Sequence

from ...hub.images import ImageLike
from ...hub.photo_encoder import PhotoEncoder
from ..index.image_index import ImageIndex
from ..index.item import Filter, Match


def search(
    index: ImageIndex, encoder: PhotoEncoder, image: ImageLike, k: int, *, among: Filter | None = None
) -> list[Match]:
    """The k images most like one photo, the most similar first; all of an index with fewer.

    Raises:
        DataError: the photo cannot be read.
        IndexMismatch: another encoder than the index's.
        UsageError: k is below 1, or the index is empty.
    """
    return search_many(index, encoder, [image], k, among=among)[0]


def search_many(
    index: ImageIndex,
    encoder: PhotoEncoder,
    images: Sequence[ImageLike],
    k: int,
    *,
    among: Filter | None = None,
    batch_size: int = 64,
) -> list[list[Match]]:
    """`search` of several photos, which are embedded and looked up together."""
    index.refuse_k(k)
    vectors = encoder.encode(images, batch_size=batch_size)
    return index.search(vectors, k, encoder=encoder.id, among=among)
