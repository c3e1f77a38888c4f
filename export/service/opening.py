"""The encoder that an index is searched with: the one that is named, or the one that lies where the index says."""

from pathlib import Path

from ...hub.errors import ArtifactError
from ...hub.photo_encoder import PhotoEncoder, open_on
from ..index.image_index import ImageIndex


def encoder_of(index: ImageIndex, name: str | None, *, device: str) -> PhotoEncoder:
    """Open an index's encoder; what an index's file says downloads nothing.

    Raises:
        ArtifactError: it is not where it was, or is damaged.
        IndexMismatch: another encoder than the index's.
    """
    encoder = _open(index, index.about.source if name is None else name, device, is_named=name is not None)
    preprocessing = index.about.encoder.preprocessing
    if encoder.preprocessing.values is None and preprocessing is not None:
        encoder.declare_values(preprocessing.values)
    return encoder


def _open(index: ImageIndex, source: str | None, device: str, *, is_named: bool) -> PhotoEncoder:
    if source is None:
        raise ArtifactError(f"The encoder of {index.folder} was made in memory; give the folder it is in: --encoder.")
    is_here = Path(source).exists() or source.startswith(("random:", "goodviews:"))
    if not is_named and not is_here:
        raise ArtifactError(
            f"The encoder of {index.folder} was {source}, which is no folder or file here; name it yourself: --encoder."
        )
    return open_on(source, device)
