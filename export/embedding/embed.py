"""Photos to a file of vectors: in this process, in several, or on a Ray cluster; a stopped run goes on where it was."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...hub.deep_pixels import split_values
from ...hub.errors import DataError, OutputExists, UsageError
from ...hub.files.leftovers import own_folder, remove_leftovers
from ...hub.files.locks import sole_writer
from ...hub.files.overwrite import refuse_file
from ...hub.images import SkippedImages
from ...hub.output.progress import track
from .local import alone, in_processes, open_share
from .parts import Plan, content_of, open_photos, read_part, root_of, start
from .vector_files import About, Rows, check_suffix, companions, write_vectors

Engine = Literal["local", "ray"]
PART_SIZE = 256


@dataclass(frozen=True)
class Embedded:
    """What a run wrote."""

    out: Path
    photos: int
    dimension: int
    encoder: str
    done_before: int  # parts that an earlier run left
    parts: int
    skipped: SkippedImages


def embed(
    data: str,
    encoder: str,
    out: Path,
    *,
    batch_size: int = 64,
    processes: int = 1,
    engine: Engine = "local",
    device: str = "cpu",
    part_size: int = PART_SIZE,
    progress: bool = False,
    overwrite: bool = False,
) -> Embedded:
    """Embed every photo that can be read, in the order of the data.

    Args:
        data: a folder, a list, tar shards or hf:NAME, as `open_photos` reads them.
        encoder: what `open_encoder` opens; each process opens its own.
        out: .parquet, .npy, .safetensors or .csv; until it is whole, parts lie in OUT.parts.
        batch_size: photos in a forward pass.
        processes: that embed at the same time; on a cluster, actors.
        engine: "local", or "ray" for a cluster whose machines share the folders of data, encoder and output.
        device: where a torch encoder computes.
        part_size: photos in a part, the most that a killed process loses.
        progress: show how far it is, and the time left.
        overwrite: replace `out`.

    Raises:
        Busy: another process writes `out`.
        DataError: there are no photos, or none can be read.
        OutputExists: `out` exists, or its parts are another run's, and `overwrite` is off.
        UsageError: a number is out of range.
    """
    check_suffix(out)
    for name, value in (("processes", processes), ("batch_size", batch_size), ("part_size", part_size)):
        if value < 1:
            raise UsageError(f"{name} is {value}; it must be 1 or more.")
    for file in (out, *companions(out)):
        if file.suffix != ".json":
            refuse_file(file, overwrite, inputs=(data, encoder))
        elif file.exists() and not out.exists():
            raise OutputExists(file)
    source = open_photos(data)
    opened = open_share(encoder, device, processes)
    identity = opened.id
    plan = Plan(
        data if data.startswith("hf:") else str(Path(data).resolve()),
        _absolute(encoder),
        identity.weights_sha256,
        identity.fingerprint or "",
        content_of(source),
        len(source),
        part_size,
        batch_size,
    )
    folder = out.with_name(out.name + ".parts")
    with sole_writer(out):
        missing = start(folder, plan, overwrite=overwrite)
        done_before = plan.parts - len(missing)
        if engine == "ray":
            from .cluster import run_on_ray as run
        else:
            run = in_processes if processes > 1 else alone
        _go(run(plan, missing, folder, processes, device), len(missing), progress)
        about = About(identity, opened.source, opened.backend, root_of(source), 0)
        return _finish(plan, folder, out, about, done_before)


def _absolute(encoder: str) -> str:
    """The encoder's name as any process finds it; a declared range of values stays behind it."""
    path, _ = split_values(encoder)
    place = Path(path).expanduser()
    return f"{place.resolve()}{encoder[len(str(path)) :]}" if place.exists() else encoder


def _go(done: Iterator[int], count: int, progress: bool) -> None:
    for _ in track(_Sized(done, count), "Embedding", is_shown=progress):
        pass


@dataclass(frozen=True)
class _Sized:
    items: Iterator[int]
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return self.items


def _finish(plan: Plan, folder: Path, out: Path, about: About, done_before: int) -> Embedded:
    """Join the parts into the file, give it its name, and remove them."""
    skipped, photos = SkippedImages(), 0
    for number in range(plan.parts):
        part = read_part(folder, number)
        photos += len(part.rows)
        for path, reason in part.unreadable:
            skipped.add(path, reason)
    if not photos:
        shutil.rmtree(folder)  # nothing in it is worth going on from
        raise DataError(
            f"None of the {plan.photos} images in {plan.data} can be read; the first: {skipped.items[0][1]}"
        )
    about = About(about.encoder, about.source, about.backend, about.root, photos)
    remove_leftovers(out)
    with own_folder(out, ".partial") as partial:
        for file in reversed(write_vectors(partial / out.name, about, _rows(plan, folder))):
            file.replace(out.with_name(file.name))  # the file itself last: where it is, what belongs to it is too
    if skipped:
        skipped.write(skipped_file(out))
    else:
        skipped_file(out).unlink(missing_ok=True)
    shutil.rmtree(folder)
    assert about.encoder.dimension is not None, "every encoder that runs has it"
    return Embedded(out, photos, about.encoder.dimension, about.encoder.name, done_before, plan.parts, skipped)


def skipped_file(out: Path) -> Path:
    """Where the photos are listed that could not be read."""
    return out.with_name(out.name + ".skipped.txt")


def _rows(plan: Plan, folder: Path) -> Iterator[Rows]:
    return (read_part(folder, number).rows for number in range(plan.parts))
