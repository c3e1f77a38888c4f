"""index.json: whose vectors an index holds, and which database belongs to it."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...hub.errors import ArtifactError
from ...hub.files.atomic import write_json
from ...hub.files.json_files import Place, read_json
from ...hub.files.path_names import as_stored
from ...hub.identity import EncoderId

FORMAT = 2
KIND = "goodviews image index"
REMEDY = "give the folder that 'goodviews index build' wrote, or build it again"


@dataclass(frozen=True)
class About:
    """Whose vectors these are, and where the photos are.

    Attributes:
        encoder: that made the vectors.
        source: opens the encoder again; None where it was made in memory.
        backend: what it ran on when the index was built: "torch" or "onnx".
        root: the folder that the index was built from.
        further_roots: folders outside it that photos were added from.
    """

    encoder: EncoderId
    source: str | None
    backend: str
    root: Path
    further_roots: tuple[Path, ...] = ()

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        assert self.encoder.dimension is not None, "an encoder's id has it, and from_json refuses a file without it"
        return self.encoder.dimension


def new_database_id() -> str:
    """A name for the database of an index: in index.json and in the database, so that a reader gets both of one."""
    return uuid.uuid4().hex


def write_about(folder: Path, about: About, database: str) -> None:
    """index.json; the roots are in the database, since they change with the photos."""
    content = {
        "kind": KIND,
        "format": FORMAT,
        "encoder": about.encoder.to_json(),
        "source": None if about.source is None else as_stored(about.source),
        "backend": about.backend,
        "database": database,
    }
    write_json(folder / "index.json", content)


def read_format(folder: Path) -> tuple[int, dict[str, Any]]:
    """Which format a folder has, 1 or 2, and its index.json.

    Raises:
        ArtifactError: it is missing, damaged, or another tool's.
    """
    path = folder / "index.json"
    if not path.is_file():
        raise ArtifactError(
            f"{folder} holds no index: index.json is missing. Give the folder that 'goodviews index build' wrote."
        )
    place = Place(path, REMEDY)
    content = read_json(place)
    if content.get("kind") != KIND:
        raise ArtifactError(f"{path} was not written by goodviews, as its kind is another; {place.remedy}.")
    number = content.get("format")
    if number not in (1, FORMAT) or isinstance(number, bool):
        raise place.refuse("format", number, f"1 or {FORMAT} for this goodviews")
    return int(number), content


def parse_about(folder: Path, content: dict[str, Any], roots: list[Path]) -> tuple[About, str]:
    """index.json of today's format and the id of its database.

    Raises:
        ArtifactError: a field is missing or wrong.
    """
    from ...hub.schemas.record import check
    from .schema import AboutFile

    path = folder / "index.json"
    found = check(AboutFile, content, Place(path, REMEDY))
    encoder = EncoderId.from_json(content.get("encoder"), path)
    first, *others = roots or [folder]
    return About(encoder, found.source, found.backend, first, tuple(others)), found.database
