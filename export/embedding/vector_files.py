"""Files of vectors: a row a photo with its path, SHA-256 and size, and the identity of the encoder that made it.

    .parquet      columns path, sha256, bytes, vector; one file
    .safetensors  tensors vectors (N, F) and rows (the table as CSV, in bytes); one file
    .npy          (N, F) float32, with NAME.npy.rows.csv and NAME.npy.json beside it
    .csv          columns path, sha256, bytes, v0, v1, …, with NAME.csv.json beside it

`read_vectors` reads them all alike; the vectors of .npy and .safetensors stay on disk until they are used.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError, MissingExtra, UsageError
from ...hub.files.json_files import Fields, Place, parse_json
from ...hub.identity import EncoderId

FORMAT = 1
SUFFIXES = (".parquet", ".npy", ".safetensors", ".csv")
COLUMNS = ("path", "sha256", "bytes")
_KEY = "goodviews"


@dataclass(frozen=True)
class Rows:
    """Some photos and their vectors, in the order of the data.

    Attributes:
        paths: relative to `About.root` where there is one.
        sha256: of each file, hexadecimal.
        sizes: of each file, in bytes.
        vectors: (N, F) float32, unit rows.
    """

    paths: list[str]
    sha256: list[str]
    sizes: list[int]
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class About:
    """Where vectors come from.

    Attributes:
        encoder: that made them.
        source: what opens that encoder again, where it is known.
        backend: what ran it: "torch" or "onnx".
        root: folder that paths are relative to; None where photos lie in shards or a dataset.
        photos: how many rows there are.
    """

    encoder: EncoderId
    source: str | None
    backend: str
    root: Path | None
    photos: int

    def to_json(self) -> dict[str, Any]:
        """As a file holds it."""
        return {
            "format": FORMAT,
            "encoder": self.encoder.to_json(),
            "source": self.source,
            "backend": self.backend,
            "root": None if self.root is None else str(self.root),
            "photos": self.photos,
        }


@dataclass(frozen=True)
class Vectors:
    """A file that was read."""

    about: About
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)


def check_suffix(path: Path) -> str:
    """The suffix that decides the format.

    Raises:
        UsageError: there is no such format.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path} is no name of a file of vectors; let it end in {', '.join(SUFFIXES)}.")
    return suffix


def write_vectors(path: Path, about: About, parts: Iterable[Rows]) -> list[Path]:
    """Write rows, part by part, without holding them all.

    Args:
        path: a new file; the caller makes sure that it gets its final name only when it is whole.
        parts: `about.photos` rows in all.

    Returns:
        The files that were written, `path` first.
    """
    writer = {".parquet": _parquet, ".npy": _npy, ".safetensors": _safetensors, ".csv": _csv}[check_suffix(path)]
    return [path, *writer(path, about, parts)]


def companions(path: Path) -> list[Path]:
    """The files that belong beside a file of vectors."""
    ends = {".npy": (".rows.csv", ".json"), ".csv": (".json",)}.get(path.suffix.lower(), ())
    return [path.with_name(path.name + end) for end in ends]


def read_vectors(path: Path | str) -> Vectors:
    """Read a file that `goodviews embed` wrote.

    Raises:
        ArtifactError: it is missing, damaged, or another tool's.
        MissingExtra: a .parquet file without pyarrow.
    """
    path = Path(path)
    reader = {
        ".parquet": _read_parquet,
        ".npy": _read_npy,
        ".safetensors": _read_safetensors,
        ".csv": _read_csv,
    }[check_suffix(path)]
    missing = next((each for each in (path, *companions(path)) if not each.is_file()), None)
    if missing is not None:
        raise ArtifactError(f"{missing} does not exist; give a file of `goodviews embed`, with those beside it.")
    try:
        text, rows = reader(path)
    except (OSError, ValueError, KeyError, IndexError) as error:  # pyarrow, numpy and safetensors raise these
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{path} is not a whole file of vectors ({reason}); embed the photos again.") from None
    about = _about(text, path)
    _refuse_odd_rows(rows, about, path)
    return Vectors(about, rows)


def _refuse_odd_rows(rows: Rows, about: About, path: Path) -> None:
    shape = rows.vectors.shape
    if {len(rows.sha256), len(rows.sizes), shape[0], about.photos} != {len(rows)} or shape[1:] != (
        about.encoder.dimension,
    ):
        raise ArtifactError(
            f"{path} holds vectors of the shape {shape} for {len(rows)} photos, where it describes {about.photos} of "
            f"{about.encoder.dimension} numbers; embed the photos again."
        )


def _about(text: str, path: Path) -> About:
    place = Place(path, "embed the photos again")
    content = parse_json(text, place)
    fields = Fields(content, place)
    fields.whole("format", FORMAT, FORMAT)
    root = fields.text_or_none("root")
    return About(
        EncoderId.from_json(content.get("encoder"), path),
        fields.text_or_none("source"),
        fields.text("backend"),
        None if root is None else Path(root),
        fields.whole("photos", 0, 2**40),
    )


def _parquet(path: Path, about: About, parts: Iterable[Rows]) -> list[Path]:
    pa, pq = _pyarrow()
    vector = pa.list_(pa.float32(), about.encoder.dimension)
    fields = [("path", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64()), ("vector", vector)]
    schema = pa.schema(fields, metadata={_KEY: json.dumps(about.to_json())})
    with pq.ParquetWriter(path, schema) as writer:
        for rows in parts:
            flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).reshape(-1))
            columns = [rows.paths, rows.sha256, rows.sizes]
            vectors = pa.FixedSizeListArray.from_arrays(flat, about.encoder.dimension)
            writer.write_table(pa.Table.from_arrays([*map(pa.array, columns), vectors], schema=schema))
    return []


def _read_parquet(path: Path) -> tuple[str, Rows]:
    _, pq = _pyarrow()
    table = pq.read_table(path)
    text = (table.schema.metadata or {})[_KEY.encode()].decode()
    column = table.column("vector").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(len(table), column.type.list_size).astype(np.float32, copy=False)
    paths, digests, sizes = (table.column(name).to_pylist() for name in COLUMNS)
    return text, Rows(paths, digests, sizes, vectors)


def _npy(path: Path, about: About, parts: Iterable[Rows]) -> list[Path]:
    shape = (about.photos, about.encoder.dimension or 0)
    whole = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    table, note = companions(path)
    first = 0
    with table.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(COLUMNS)
        for rows in parts:
            whole[first : first + len(rows)] = rows.vectors
            first += len(rows)
            lines.writerows(zip(rows.paths, rows.sha256, rows.sizes))
    whole.flush()
    note.write_text(json.dumps(about.to_json(), indent=2) + "\n", "utf-8")
    return [table, note]


def _read_npy(path: Path) -> tuple[str, Rows]:
    table, note = companions(path)
    with table.open(newline="", encoding="utf-8") as stream:
        columns = _columns(stream)
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    return note.read_text("utf-8"), Rows(*columns, vectors)


def _safetensors(path: Path, about: About, parts: Iterable[Rows]) -> list[Path]:
    """The header first, then the vectors as they come, then the table: safetensors' own writer holds all of it."""
    dimension = about.encoder.dimension or 0
    length, table = 4 * dimension * about.photos, io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(COLUMNS)
    with path.with_name(path.name + ".vectors").open("w+b") as vectors, path.open("wb") as stream:
        Path(vectors.name).unlink()
        for rows in parts:
            vectors.write(np.ascontiguousarray(rows.vectors, "<f4").tobytes())
            lines.writerows(zip(rows.paths, rows.sha256, rows.sizes))
        coded = table.getvalue().encode()
        header = {
            "__metadata__": {_KEY: json.dumps(about.to_json())},
            "vectors": {"dtype": "F32", "shape": [about.photos, dimension], "data_offsets": [0, length]},
            "rows": {"dtype": "U8", "shape": [len(coded)], "data_offsets": [length, length + len(coded)]},
        }
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        stream.write(len(head).to_bytes(8, "little") + head)
        vectors.seek(0)
        while piece := vectors.read(1 << 24):
            stream.write(piece)
        stream.write(coded)
    return []


def _read_safetensors(path: Path) -> tuple[str, Rows]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {})[_KEY]
            table, vectors = file.get_tensor("rows"), file.get_tensor("vectors")
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return text, Rows(*_columns(io.StringIO(table.tobytes().decode(), newline="")), vectors)


def _csv(path: Path, about: About, parts: Iterable[Rows]) -> list[Path]:
    (note,) = companions(path)
    with path.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow([*COLUMNS, *(f"v{i}" for i in range(about.encoder.dimension or 0))])
        for rows in parts:
            numbers = ([f"{value:.9g}" for value in vector] for vector in rows.vectors)  # float32 comes back exactly
            for *about_photo, vector in zip(rows.paths, rows.sha256, rows.sizes, numbers):
                lines.writerow([*about_photo, *vector])
    note.write_text(json.dumps(about.to_json(), indent=2) + "\n", "utf-8")
    return [note]


def _read_csv(path: Path) -> tuple[str, Rows]:
    (note,) = companions(path)
    with path.open(newline="", encoding="utf-8") as stream:
        lines = csv.reader(stream)
        width = len(next(lines))
        table = list(lines)
    vectors = np.array([line[len(COLUMNS) :] for line in table], np.float32).reshape(len(table), width - len(COLUMNS))
    columns = [[line[i] for line in table] for i in range(len(COLUMNS))]
    return note.read_text("utf-8"), Rows(columns[0], columns[1], [int(size) for size in columns[2]], vectors)


def _columns(lines: Iterable[str]) -> tuple[list[str], list[str], list[int]]:
    reader: Iterator[list[str]] = csv.reader(lines)
    if tuple(next(reader)) != COLUMNS:
        raise ValueError("its table has other columns")
    table = list(reader)
    return [line[0] for line in table], [line[1] for line in table], [int(line[2]) for line in table]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", extra="data", needed_for="A .parquet file") from None
    return pyarrow, pyarrow.parquet
