"""Which encoder made a vector: enough to open it again, and to refuse the vectors of another one."""

import base64
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..hub.errors import ArtifactError
from ..hub.preprocessing import Preprocessing

FINGERPRINT_TOLERANCE = 1e-3  # distance of unit vectors; processors and runtimes stay below 1e-5


@dataclass(frozen=True)
class EncoderIdentity:
    """What an exported file and an index keep of their encoder.

    Two are the same encoder when dimension, weights, preprocessing and fingerprint agree, whatever runs them and
    wherever they lie.

    Attributes:
        name: folder name, or the name it was asked for by.
        dimension: numbers a vector.
        weights_sha256: of the backbone's tensors.
        fingerprint: its embedding of the fixed test image, as config.json holds it (base64 of little-endian float32).
    """

    name: str
    architecture: str
    dimension: int
    preprocessing: Preprocessing
    weights_sha256: str
    fingerprint: str = field(repr=False)

    def differences(self, other: "EncoderIdentity") -> list[str]:
        """Why vectors of the two must not be mixed, in words; empty for the same encoder."""
        if self.dimension != other.dimension:
            return [f"{self.dimension} dimensions against {other.dimension}"]
        found = []
        if self.weights_sha256 != other.weights_sha256:
            found.append(f"weights {self.weights_sha256[:12]} against {other.weights_sha256[:12]}")
        if self.preprocessing != other.preprocessing:
            found.append(f"{_sizes(self.preprocessing)} against {_sizes(other.preprocessing)}")
        distance = float(np.linalg.norm(_vector(self) - _vector(other)))
        if not distance <= FINGERPRINT_TOLERANCE:
            found.append(f"fingerprints {distance:.2g} apart")
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Any, where: Path) -> "EncoderIdentity":
        """Read back what `to_json` gave.

        Raises:
            ArtifactError: `where` holds something else.
        """
        try:
            values = {field.name: value[field.name] for field in fields(EncoderIdentity)}
            values["preprocessing"] = _preprocessing(values["preprocessing"])
            identity = EncoderIdentity(**values)
            if len(_vector(identity)) != identity.dimension:
                raise ValueError("the fingerprint has another dimension")
            return identity
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"{where} does not say whose vectors these are ({error!r}); make it again.") from None


def _vector(identity: EncoderIdentity) -> np.ndarray:
    return np.frombuffer(base64.b64decode(identity.fingerprint, validate=True), "<f4")


def _preprocessing(value: dict[str, Any]) -> Preprocessing:
    values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return Preprocessing(**values)


def _sizes(preprocessing: Preprocessing) -> str:
    return f"{preprocessing.input_px} px at crop {preprocessing.crop_pct} ({preprocessing.interpolation})"
