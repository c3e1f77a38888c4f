"""Tar shards in webdataset's layout: photos in large files, listed once, then each read by where it lies.

A sample is what neighbouring members of a shard with one name up to the first dot make: 000017.jpg and 000017.cls, the
latter, where there is one, its class as a number. Readers of such shards usually stream them and shuffle what they
hold in memory; here the members' places are listed, from the headers only, and any photo can be read at any time, so
order, resume and repeatability are those of a folder. On spinning disks or network storage that seek slowly this costs
speed; more --workers hide it.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..deep_pixels import Values
from ..errors import DataError
from ..images import has_image_suffix
from . import listing_cache
from .counted_names import counted
from .files import describe_range, file_stamps
from .packed_names import Names
from .remote_shards import RemoteShard, content_of
from .walk import is_passed_over


@dataclass(frozen=True, eq=False)
class Shards:
    """Photos in tar files; `members` is (N, 3), int64: shard, first byte, number of bytes."""

    name: str
    shards: tuple[Path | RemoteShard, ...]
    members: NDArray[np.int64]
    names: Names
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    values: Values | None = None

    def __len__(self) -> int:
        return len(self.members)

    def open(self, position: int) -> BinaryIO:
        shard, first, count = self.members[position].tolist()
        try:
            content = _read(self.shards[shard], first, count)
        except OSError as error:
            raise DataError(f"{self.place(position)} cannot be read ({error.strerror}).") from None
        if len(content) < count:
            raise DataError(f"{self.place(position)} is cut short; copy the shard again.")
        return io.BytesIO(content)

    def place(self, position: int) -> str:
        return f"{self.shards[int(self.members[position, 0])]}/{self.names[position]}"

    def describe(self) -> dict[str, Any]:
        """Name, counts, classes, and a digest over shards' names, members' names and sizes; no private path."""
        digest = hashlib.sha256(os.fsencode("\n".join(shard.name for shard in self.shards)))
        digest.update(self.names.block.tobytes())
        digest.update(self.members.tobytes())
        about = {"name": self.name, "images": len(self), "classes": list(self.classes), "shards": len(self.shards)}
        return about | {"names_sha256": digest.hexdigest()} | describe_range(self.values)

    def content(self) -> str:
        remote = [shard for shard in self.shards if isinstance(shard, RemoteShard)]
        return content_of(remote) if remote else file_stamps(shard for shard in self.shards if isinstance(shard, Path))


def _read(shard: Path | RemoteShard, first: int, count: int) -> bytes:
    if isinstance(shard, RemoteShard):
        return shard.read(first, count)
    with shard.open("rb") as file:
        file.seek(first)
        return file.read(count)


def find_shards(data: Path) -> list[Path]:
    """The tar files that a path means: one, all of a folder that holds nothing else to see, or those of a pattern.

    Raises:
        DataError: a pattern that no file fits, or shards that are compressed.
    """
    if data.is_dir():
        entries = [path for path in sorted(data.iterdir()) if not is_passed_over(path.name)]
        tars = [path for path in entries if ".tar" in path.suffixes]
        folders_or_images = any(path.is_dir() or has_image_suffix(path.name) for path in entries)
        found = [] if folders_or_images else tars
    elif data.is_file():
        found = [data] if ".tar" in data.suffixes or data.suffix == ".tgz" else []
    else:
        found = _of_pattern(str(data))
    squeezed = next((path for path in found if path.suffix != ".tar"), None)
    if squeezed is not None:
        raise DataError(f"{squeezed} is compressed, so no photo has a place in it; unpack it to a plain .tar.")
    return found


def open_shards(shards: Sequence[Path] | Sequence[RemoteShard], *, name: str) -> Shards:
    """List the photos of shards; what was listed once is remembered.

    Raises:
        DataError: a file is no tar, or there is no photo in any.
    """
    listings = [_listing(shard) for shard in shards]
    members = np.concatenate(
        [np.column_stack([np.full(len(places), i), places]) for i, (places, _, _) in enumerate(listings)]
    )
    if not len(members):
        raise DataError(f"{shards[0]} and {len(shards) - 1} more shards hold no image.")
    names = Names.of(name for _, names, _ in listings for name in names)
    labels = np.concatenate([labels for _, _, labels in listings])
    if labels.min() < 0:
        return Shards(name, tuple(shards), members, names, None, ())
    classes = tuple(str(label) for label in range(int(labels.max()) + 1))
    return Shards(name, tuple(shards), members, names, labels, classes)


def _listing(shard: Path | RemoteShard) -> tuple[NDArray[np.int64], Names, NDArray[np.int64]]:
    """Of one shard: (n, 2) first byte and size of each photo, the photos' names, and their labels, -1 for none."""
    cached = _remote_listing(shard) if isinstance(shard, RemoteShard) else _local_listing(shard)
    return cached["places"], Names(cached["block"], cached["ends"]), cached["labels"]


def _local_listing(shard: Path) -> listing_cache.Arrays:
    cached = listing_cache.recall("shard", shard)
    if cached is None:
        start_s = listing_cache.now()
        stamp = shard.stat().st_mtime_ns
        with shard.open("rb") as file:
            cached = _list_members(shard, file)
        listing_cache.save("shard", shard, cached, {"": stamp}, start_s=start_s)
    return cached


def _remote_listing(shard: RemoteShard) -> listing_cache.Arrays:
    stamp = shard.stamp()
    cached = listing_cache.recall_stamped(stamp)
    if cached is None:
        with shard.stream() as file:
            cached = _list_members(shard, file)
        listing_cache.save_stamped(stamp, cached, what=str(shard))
    return cached


def _list_members(shard: Path | RemoteShard, file: BinaryIO) -> listing_cache.Arrays:
    names: list[str] = []
    places: list[tuple[int, int]] = []
    labels: list[int] = []
    key, label = "", -1
    try:
        with tarfile.open(str(shard), "r:", fileobj=file) as tar:
            for member in tar:
                tar.members.clear()  # type: ignore[attr-defined] # else a million headers stay in memory
                if not member.isfile():
                    continue
                if _key(member.name) != key:
                    key, label = _key(member.name), -1
                folders = Path(member.name).parts[:-1]
                if any(map(is_passed_over, (part for part in folders if part not in (".", "..")))):
                    continue
                if has_image_suffix(Path(member.name).name):
                    names.append(member.name)
                    places.append((member.offset_data, member.size))
                    labels.append(label)
                elif member.name.endswith(".cls"):
                    text = tar.extractfile(member)
                    label = int(text.read() if text is not None else b"")
                    if names and _key(names[-1]) == key:
                        labels[-1] = label
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise DataError(f"{shard} is not a whole tar of photos and .cls numbers ({error}); make it again.") from None
    coded = Names.of(names)
    return {
        "block": coded.block,
        "ends": coded.ends,
        "places": np.array(places, np.int64).reshape(-1, 2),
        "labels": np.array(labels, np.int64),
    }


def _key(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"


def _of_pattern(pattern: str) -> list[Path]:
    """Of a/{000..012}.tar the files that it counts off, of a/*.tar those that are there; of other words none."""
    paths = None if (names := counted(pattern)) is None else [Path(name) for name in names]
    if paths is not None:
        missing = next((path for path in paths if not path.is_file()), None)
        if missing is not None or not paths:
            raise DataError(f"{missing or pattern} does not exist; check the pattern's numbers.")
        return paths
    if "*" in pattern:
        found = sorted(Path(path) for path in glob(pattern, recursive=True))  # noqa: PTH207, patterns may be absolute
        if not found:
            raise DataError(f"No file fits the pattern {pattern}.")
        return found
    return []
