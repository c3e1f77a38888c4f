"""Which encoder made a vector or a measured number: one class for exported files, indexes and reports. Torch-free."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .deep_pixels import LARGEST_VALUE, Values, describe_values, is_range
from .files.json_files import Fields, Place, refuse_odd_values
from .fingerprint import TOLERANCE, fingerprint_distance, is_fingerprint
from .preprocessing import CROP_PCT, LARGEST_PX, MEAN, STD, Preprocessing

MOST_FEATURES = 2**16  # more than any network has


@dataclass(frozen=True)
class EncoderId:
    """Who an encoder is, and what its vectors depend on.

    Vectors of two encoders may be compared when dimension, weights, preprocessing and fingerprint agree, whatever runs
    them and wherever they lie. A report knows the first four fields only.

    Attributes:
        name: for people: the encoder's own, or the one it was asked for by.
        architecture: timm's name.
        weights_sha256: of model.safetensors; in a report on an exported file, of that file.
        recipe: that trained it, where known.
        dimension: numbers in a vector.
        preprocessing: what its photos go through.
        fingerprint: its embedding of the fixed test image, as config.json holds it.
    """

    name: str
    architecture: str
    weights_sha256: str
    recipe: str | None = None
    dimension: int | None = None
    preprocessing: Preprocessing | None = None
    fingerprint: str | None = field(default=None, repr=False)

    def differences(self, other: "EncoderId") -> list[str]:
        """Why vectors of the two must not be mixed, in words; empty when they may be."""
        if self.dimension != other.dimension:
            return [f"{self.dimension} dimensions against {other.dimension}"]
        found = []
        if self.weights_sha256 != other.weights_sha256:
            found.append(f"weights {self.weights_sha256[:12]} against {other.weights_sha256[:12]}")
        if self.preprocessing != other.preprocessing:
            found.append(f"{_sizes(self.preprocessing)} against {_sizes(other.preprocessing)}")
        distance = fingerprint_distance(self.fingerprint or "", other.fingerprint or "")
        if not distance <= TOLERANCE:
            found.append(f"fingerprints {distance:.2g} apart")
        return found

    def to_json(self) -> dict[str, Any]:
        """As exported files and indexes hold it; most preprocessing knows no range of values."""
        content = asdict(self)
        if self.preprocessing is not None and self.preprocessing.values is None:
            del content["preprocessing"]["values"]
        return content

    def report_json(self) -> dict[str, str | None]:
        """As a report holds it: the first four fields."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "weights_sha256": self.weights_sha256,
            "recipe": self.recipe,
        }

    @staticmethod
    def from_json(value: Any, where: Path) -> "EncoderId":
        """Read back what an exported file or an index holds: everything that its vectors depend on must be there.

        Raises:
            ArtifactError: `where` holds something else.
        """
        place = Place(where, "it does not say which encoder made its vectors, so make it again")
        refuse_odd_values({"encoder": value}, place)
        fields = Fields({"encoder": value}, place).part("encoder")
        identity = EncoderId(
            fields.text("name"),
            fields.text("architecture"),
            fields.text("weights_sha256", pattern="[0-9a-f]{64}", what="64 hexadecimal digits"),
            fields.text_or_none("recipe"),
            fields.whole("dimension", 1, MOST_FEATURES),
            _preprocessing(fields.part("preprocessing")),
            fields.text("fingerprint", pattern=r"[A-Za-z0-9+/=]+", what="base64 of float32"),
        )
        if not is_fingerprint(identity.fingerprint or "", identity.dimension):
            raise place.refuse("encoder.fingerprint", identity.fingerprint, "a unit vector of its dimension")
        return identity


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def recorded_values(fields: Fields) -> Values | None:
    """The field `values`: of photos of more than 8 bits, which are black and white; None where it is missing.

    Raises:
        ArtifactError: it is no range.
    """
    if fields.values.get("values") is None:
        return None
    low, high = fields.numbers("values", 2, -LARGEST_VALUE, LARGEST_VALUE)
    if not is_range((low, high)):
        raise fields.place.refuse(f"{fields.prefix}values", [low, high], "two numbers, the lower first")
    return low, high


def _preprocessing(fields: Fields) -> Preprocessing:
    values: dict[str, Any] = {
        "input_px": fields.whole("input_px", 1, LARGEST_PX),
        "crop_pct": fields.number("crop_pct", *CROP_PCT),
        "interpolation": fields.choice("interpolation", ("bilinear", "bicubic")),
        "mean": fields.numbers("mean", 3, *MEAN),
        "std": fields.numbers("std", 3, *STD),
        "values": recorded_values(fields),
    }
    return Preprocessing(**values)


def _sizes(preprocessing: Preprocessing | None) -> str:
    if preprocessing is None:
        return "unknown preprocessing"
    values = "" if preprocessing.values is None else f", values {describe_values(preprocessing.values)}"
    return f"{preprocessing.input_px} px at crop {preprocessing.crop_pct} ({preprocessing.interpolation}{values})"
