"""Which encoder a report is about, whether PyTorch runs it or an exported file. Imports no torch before it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .report import EncoderId

if TYPE_CHECKING:
    from .encoder import Encoder
    from .frozen import ExportedEncoder


def encoder_id(encoder: Encoder | ExportedEncoder) -> EncoderId:
    """Identity of an encoder for a report."""
    from .artifact import weights_sha256
    from .frozen import ExportedEncoder

    if isinstance(encoder, ExportedEncoder):
        return encoder.id
    recipe = (encoder.origin.recipe or {}).get("name")
    return EncoderId(encoder.origin.name, encoder.architecture, weights_sha256(encoder), recipe)
