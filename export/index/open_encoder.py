"""The encoder of an index: the one that the user names, or the one that the index does."""

from pathlib import Path

from ...hub.deep_pixels import Values
from ...hub.errors import ArtifactError
from ...hub.photo_encoder import PhotoEncoder, open_on
from .image_index import ImageIndex

BROUGHT = ("random:", "goodviews:")  # what goodviews itself brings, without a download


def values_of(index: ImageIndex) -> Values | None:
    """The range of values that photos of more than 8 bits were declared to have when the index was built."""
    preprocessing = index.about.encoder.preprocessing
    return preprocessing.values if preprocessing is not None else None


def encoder_of(index: ImageIndex, override: str | None, *, device: str = "cpu", verify: bool = True) -> PhotoEncoder:
    """The encoder that the user names, or the one that lies where the index says; a file's word downloads nothing."""
    if override is not None:
        return _as_built(index, open_on(override, device, verify=verify))
    source = index.about.source
    if source is None:
        raise ArtifactError(f"The encoder of {index.folder} was made in memory; give the folder it is in: --encoder.")
    if not Path(source).exists() and not source.startswith(BROUGHT):
        raise ArtifactError(
            f"The encoder of {index.folder} was {source}, which is no folder or file here; name it yourself: --encoder."
        )
    try:
        return _as_built(index, open_on(source, device, verify=verify))
    except ArtifactError as error:
        raise ArtifactError(
            f"The encoder of {index.folder} cannot be opened: {error} Or give the folder it is in now: --encoder."
        ) from None


def _as_built(index: ImageIndex, encoder: PhotoEncoder) -> PhotoEncoder:
    """The encoder with the range of values that the index was built with, unless another was declared."""
    if encoder.preprocessing.values is None:
        encoder.declare_values(values_of(index))
    return encoder
