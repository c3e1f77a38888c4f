"""The readable files of an index folder: whose vectors it holds (index.json) and which images (items.json)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..hub.atomic import write_json
from ..hub.errors import ArtifactError
from ..hub.identity import EncoderId

FORMAT = 1
KIND = "goodviews image index"


@dataclass(frozen=True)
class About:
    """What index.json holds: whose vectors these are, and where the images are.

    Attributes:
        source: opens the encoder again; None where it was made in memory.
        backend: what it ran on when the index was built.
        root: the folder that the images' paths start from.
    """

    encoder: EncoderId
    source: str | None
    backend: str
    root: Path

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        assert self.encoder.dimension is not None, "an encoder's id has it, and from_json refuses a file without it"
        return self.encoder.dimension


@dataclass(frozen=True)
class Item:
    """One image of an index.

    Attributes:
        id: never given to another image again, also after a removal.
        path: relative to the index's root folder where it is inside, else absolute; with forward slashes.
        metadata: size in bytes and time of change (ns) when it was embedded, to notice a changed file.
    """

    id: int
    path: str
    metadata: dict[str, int] = field(default_factory=dict)


def write_about(folder: Path, about: About) -> None:
    """index.json; the search is exact, which a reader of the file may want to know."""
    exact = {"index": "IDMap2,Flat", "metric": "inner product of unit vectors", "recall": 1.0}
    values = asdict(about) | {"encoder": about.encoder.to_json(), "root": str(about.root)}
    write_json(folder / "index.json", {"kind": KIND, "format": FORMAT, **values, **exact})


def write_items(folder: Path, items: Sequence[Item], next_id: int) -> None:
    """items.json, replaced whole."""
    write_json(folder / "items.json", {"next_id": next_id, "items": [asdict(item) for item in items]})


def read_about(folder: Path) -> About:
    """index.json.

    Raises:
        ArtifactError: it is missing, damaged, or another tool's.
    """
    path = folder / "index.json"
    if not path.is_file():
        raise ArtifactError(
            f"{folder} holds no index: index.json is missing. Give the folder that 'goodviews index build' wrote."
        )
    content = _read_json(path)
    if content.get("kind") != KIND:
        raise ArtifactError(f"{path} was not written by goodviews; give the folder that 'goodviews index build' wrote.")
    if content.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} has format {content.get('format')}; this goodviews reads format {FORMAT}. Build it again."
        )
    encoder = EncoderId.from_json(content.get("encoder"), path)
    try:
        source = content["source"]
        return About(encoder, source and str(source), str(content["backend"]), Path(content["root"]))
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} lacks {error}; build the index again.") from None


def read_items(folder: Path) -> tuple[list[Item], int]:
    """items.json: the images, and the first id never used.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / "items.json"
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; the index is incomplete, build it again.")
    content = _read_json(path)
    try:
        return [Item(**item) for item in content["items"]], int(content["next_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged ({error!r}); build the index again.") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ArtifactError(f"{path} is not JSON; the index is damaged, build it again.") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} was not written by goodviews; give the folder that 'goodviews index build' wrote.")
    return content
