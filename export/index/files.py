"""The readable files of an index folder: whose vectors it holds (index.json) and which images (items.json)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...hub.errors import ArtifactError
from ...hub.files.atomic import write_json
from ...hub.files.json_files import Place, read_json
from ...hub.files.path_names import as_stored
from ...hub.identity import EncoderId

FORMAT = 1
KIND = "goodviews image index"


@dataclass(frozen=True)
class About:
    """What index.json holds: whose vectors these are, and where the images are.

    Attributes:
        source: opens the encoder again; None where it was made in memory.
        backend: what it ran on when the index was built.
        root: the folder that the images' paths start from.
        further_roots: folders outside it that images were added from.
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
    values = asdict(about) | {"encoder": about.encoder.to_json(), "root": as_stored(about.root)}
    values["further_roots"] = [as_stored(root) for root in about.further_roots]
    values["source"] = None if about.source is None else as_stored(about.source)
    write_json(folder / "index.json", {"kind": KIND, "format": FORMAT, **values, **exact})


def write_items(folder: Path, items: Sequence[Item], next_id: int) -> None:
    """items.json, replaced whole."""
    listed = [asdict(item) | {"path": as_stored(item.path)} for item in items]
    write_json(folder / "items.json", {"next_id": next_id, "items": listed})


def items_stamp(folder: Path) -> tuple[int, ...]:
    """Another one when items.json was written anew; empty where there is none."""
    try:
        status = (folder / "items.json").stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


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
    from ...hub.schemas.record import check
    from .schema import IndexFile

    place = Place(path, "give the folder that 'goodviews index build' wrote, or build it again")
    content = read_json(place)
    if content.get("kind") != KIND:
        raise ArtifactError(f"{path} was not written by goodviews, as its kind is another; {place.remedy}.")
    if content.get("format") != FORMAT:
        raise place.refuse("format", content.get("format"), f"{FORMAT} for this goodviews")
    found = check(IndexFile, content, place)
    encoder = EncoderId.from_json(content.get("encoder"), path)
    return About(encoder, found.source, found.backend, Path(found.root), tuple(map(Path, found.further_roots)))


def read_items(folder: Path) -> tuple[list[Item], int]:
    """items.json: the images, and the first id never used.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / "items.json"
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; the index is incomplete, build it again.")
    from ...hub.schemas.record import check
    from .schema import ItemsFile

    place = Place(path, "the index is damaged, build it again")
    found = check(ItemsFile, read_json(place, is_plain=False), place)
    items = [Item(item.id, item.path, item.metadata) for item in found.items]
    if len({item.id for item in items}) < len(items):
        raise ArtifactError(f"{path} gives two images one id; the index is damaged, build it again.")
    if items and max(item.id for item in items) >= found.next_id:
        raise place.refuse("next_id", found.next_id, "above every id")
    return items, found.next_id
