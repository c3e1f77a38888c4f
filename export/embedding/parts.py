"""A run in parts: each some hundred photos, embedded on its own and written whole; a part that lies there is done.

Parts lie in OUT.parts beside the output, with plan.json, which says whose parts they are. Any process of any machine
that shares the folder may write any part: the same photos give the same part, so that one written twice is not doubled.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from ...hub.deep_pixels import Values
from ...hub.errors import DataError, OutputExists
from ...hub.files.atomic import write_bytes, write_json
from ...hub.files.path_names import as_stored
from ...hub.images import decoded, opened
from ...hub.output.printing import shown
from ...hub.photo_encoder import PhotoEncoder
from ...hub.sources.files import Files
from ...hub.sources.folders import open_folder
from ...hub.sources.open import open_data
from ...hub.sources.shards import find_shards
from ...hub.sources.source import Source
from .batches import batches
from .vector_files import Rows

PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know.

    Attributes:
        data: the photos, as the user named them, absolute.
        encoder: what opens the encoder.
        weights_sha256: of the encoder, and its fingerprint: parts of another encoder are not taken for this one's.
        content: changes with the photos' names.
        photos: their number.
        part_size: photos in a part.
        batch_size: photos in a forward pass.
    """

    data: str
    encoder: str
    weights_sha256: str
    fingerprint: str
    content: str
    photos: int
    part_size: int
    batch_size: int

    @property
    def parts(self) -> int:
        return -(-self.photos // self.part_size)

    def positions(self, number: int) -> range:
        """Of the photos in a part."""
        return range(number * self.part_size, min((number + 1) * self.part_size, self.photos))


@dataclass(frozen=True)
class Part:
    """What a part holds: the photos that could be read, and the others with the reason of each."""

    rows: Rows
    unreadable: list[tuple[str, str]]


def open_photos(data: str) -> Source:
    """All photos of a folder, its train and val parts alike; of a list, shards or a dataset what pretraining reads."""
    path = Path(data)
    if not data.startswith("hf:") and path.is_dir() and not find_shards(path):
        return open_folder(path)
    return open_data(data).train


def root_of(source: Source) -> Path | None:
    """The folder that paths are relative to, where photos are files."""
    return source.root.resolve() if isinstance(source, Files) else None


def content_of(source: Source) -> str:
    """A digest of which photos they are, in which order."""
    return hashlib.sha256(json.dumps(source.describe(), sort_keys=True).encode()).hexdigest()


def start(folder: Path, plan: Plan, *, overwrite: bool) -> list[int]:
    """Make the folder of parts, or find one of the same plan; the numbers of the parts that are still to do.

    Raises:
        OutputExists: it holds parts of another plan, and `overwrite` is off.
    """
    file = folder / PLAN
    if folder.exists() and not _is_of(file, plan):
        if not overwrite:
            raise OutputExists(folder, "It holds parts of another run; remove it, or give --overwrite to begin anew.")
        for old in [*folder.glob("part-*.npz"), file]:
            old.unlink(missing_ok=True)
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(plan))
    return [number for number in range(plan.parts) if not part_file(folder, number).is_file()]


def part_file(folder: Path, number: int) -> Path:
    return folder / f"part-{number:08}.npz"


def make_part(plan: Plan, number: int, source: Source, encoder: PhotoEncoder, folder: Path) -> int:
    """Embed the photos of a part and write it whole; returns how many could not be read."""
    paths, digests, sizes = [], [], []
    vectors = [np.empty((0, encoder.num_features), np.float32)]
    unreadable: list[tuple[str, str]] = []
    photos = _photos(source, plan.positions(number), encoder.preprocessing.values, unreadable)
    for batch in batches(photos, plan.batch_size):
        vectors.append(encoder.encode([photo.image for photo in batch], batch_size=plan.batch_size))
        paths += [photo.path for photo in batch]
        digests += [photo.sha256 for photo in batch]
        sizes += [photo.size for photo in batch]
    content = BytesIO()
    about = json.dumps({"paths": paths, "sha256": digests, "sizes": sizes, "unreadable": unreadable})
    np.savez(content, vectors=np.concatenate(vectors), about=np.frombuffer(about.encode(), np.uint8))
    write_bytes(part_file(folder, number), content.getvalue())
    return len(unreadable)


def read_part(folder: Path, number: int) -> Part:
    with np.load(part_file(folder, number), allow_pickle=False) as file:
        about, vectors = json.loads(file["about"].tobytes()), file["vectors"]
    rows = Rows(about["paths"], about["sha256"], about["sizes"], vectors)
    return Part(rows, [(path, reason) for path, reason in about["unreadable"]])


@dataclass(frozen=True)
class _Photo:
    path: str
    sha256: str
    size: int
    image: Image.Image


def _photos(
    source: Source, positions: Sequence[int], values: Values | None, unreadable: list[tuple[str, str]]
) -> Iterator[_Photo]:
    """One by one; those that cannot be read are noted."""
    for position in positions:
        path = as_stored(_name(source, position))
        try:
            _refuse_odd_name(path)
            content = _bytes(source, position)
            place = source.place(position)
            with opened(BytesIO(content), name=place) as image:
                photo = decoded(image, values=values, name=place)
        except DataError as error:
            unreadable.append((path, str(error)))
            continue
        yield _Photo(path, hashlib.sha256(content).hexdigest(), len(content), photo)


def _name(source: Source, position: int) -> str:
    """A file's path from its root on, also where a list names it absolutely; of other photos where they lie."""
    if not isinstance(source, Files):
        return source.place(position)
    name = source.names[position]
    if PurePath(name).is_absolute() and (place := Path(name)).is_relative_to(root := source.root.resolve()):
        return place.relative_to(root).as_posix()
    return name


def _refuse_odd_name(path: str) -> None:
    """A table of text cannot hold a name of bytes that are none."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{shown(path)} has a name that is not UTF-8, which no file of vectors holds; rename it."
        ) from None


def _bytes(source: Source, position: int) -> bytes:
    file = source.open(position)
    if not isinstance(file, Path):
        return file.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None


def _is_of(file: Path, plan: Plan) -> bool:
    try:
        found: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == asdict(plan))
