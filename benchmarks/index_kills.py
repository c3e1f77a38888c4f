"""Kill what changes indexes at random moments, and count what is lost and what stays behind: both should be nothing.

    python benchmarks/index_kills.py --kills 100 --seed 0

Embedding into a file, building an index from photos and from that file, adding, removing, and a refresh after photos
were renamed, moved, changed, deleted and added: each in turn, as benchmarks/kills.py does it. After a kill the index
must open, hold the photos from before or those from after, all of them finding themselves, each under its id; the same
command, given again, must leave what it leaves without a kill, and no file that nobody counts.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from kills import TINY, Command, finish, main
from PIL import Image

from goodviews.export.embedding.vector_files import read_vectors
from goodviews.export.index.image_index import load
from goodviews.hub import artifact
from goodviews.hub.pretrained import from_pretrained

CLASSES, EACH = 3, 6  # photos that the index is built from


def write_all(folder: Path) -> None:
    """Photos, an encoder, an index, a file of vectors; and another index, whose photos then changed."""
    for label in range(CLASSES):
        for number in range(EACH):
            paint(folder / "photos" / f"class{label}" / f"{number}.png", seed=10 * label + number)
    for number in range(12):
        paint(folder / "more" / f"{number}.png", seed=100 + number)
    artifact.save(from_pretrained(TINY), folder / "encoder")
    encoder = ["--encoder", folder / "encoder"]
    finish(["index", "build", *encoder, "--images", folder / "photos", "--out", folder / "index"])
    finish(["embed", folder / "photos", *encoder, "--out", folder / "vectors.npy"])
    shutil.copytree(folder / "photos", folder / "changing")
    finish(["index", "build", *encoder, "--images", folder / "changing", "--out", folder / "old"])
    (folder / "changing" / "class0").rename(folder / "changing" / "renamed")
    (folder / "changing" / "class1" / "0.png").rename(folder / "changing" / "class2" / "moved.png")
    (folder / "changing" / "class1" / "1.png").unlink()
    paint(folder / "changing" / "class1" / "2.png", seed=200)
    paint(folder / "changing" / "new.png", seed=201)


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(path)


def look(index: Path, *, counts: tuple[int, ...]) -> object:
    """What is wrong with an index: other photos in number, one that does not find itself, a thumbnail that is gone."""
    opened = load(index)
    ids = [item.id for item in opened.items]
    if len(ids) not in counts:
        return f"the index has {len(ids)} photos, none of {counts}"
    if not ids:
        return None
    found = opened.search(opened.vectors_of(ids), 1, encoder=opened.about.encoder)
    if any(matches[0].similarity < 0.9999 for matches in found):
        return "a photo does not find itself"
    return None if all(opened.thumbnail(key) for key in ids) else "a thumbnail is empty"


def state(index: Path) -> object:
    """What an index holds: its photos by id, their digests, the files that it counts, and those that are there."""
    opened = load(index)
    places = [(item.id, "/".join(item.full_path.parts[-2:]), item.sha256) for item in opened.items]
    files = sorted(path.suffix for path in index.iterdir() if path.suffix in {".npy", ".faiss"})
    return [places, files, opened.removed]


def _if_there(place: Path, check: Callable[[Path], object]) -> object:
    return check(place) if place.exists() else None


def _embedded(file: Path) -> object:
    rows = read_vectors(file).rows
    return [rows.paths, rows.sha256, rows.vectors.round(4).tolist()]


ALL = CLASSES * EACH
COMMANDS = {
    "embed": Command(
        words=lambda folder: [
            *("embed", folder / "more", "--encoder", folder / "encoder"),
            *("--out", folder / "more.npy", "--overwrite"),
        ],
        is_whole=lambda folder: _if_there(folder / "more.npy", _embedded) and None,
        result=lambda folder: _embedded(folder / "more.npy"),
    ),
    "build": Command(
        words=lambda folder: [
            *("index", "build", "--encoder", folder / "encoder", "--images", folder / "photos"),
            *("--out", folder / "built", "--overwrite"),
        ],
        is_whole=lambda folder: _if_there(folder / "built", partial(look, counts=(ALL,))),
        result=lambda folder: state(folder / "built"),
    ),
    "build of vectors": Command(
        words=lambda folder: [
            *("index", "build", "--encoder", folder / "encoder", "--vectors", folder / "vectors.npy"),
            *("--index", "IVF2,Flat", "--out", folder / "built", "--overwrite"),
        ],
        is_whole=lambda folder: _if_there(folder / "built", partial(look, counts=(ALL,))),
        result=lambda folder: state(folder / "built"),
    ),
    "add": Command(
        words=lambda folder: ["index", "add", folder / "index", "--images", folder / "more"],
        is_whole=lambda folder: look(folder / "index", counts=(ALL, ALL + 12)),
        result=lambda folder: state(folder / "index"),
    ),
    "refresh": Command(
        words=lambda folder: ["index", "refresh", folder / "old"],
        # what was moved and deleted counts first, then what had to be embedded
        is_whole=lambda folder: look_after_changes(folder / "old"),
        result=lambda folder: state(folder / "old"),
    ),
}


def look_after_changes(index: Path) -> object:
    """As `look`, where photos that are gone have no thumbnail but the stored one."""
    return look(index, counts=(ALL, ALL - 1))


if __name__ == "__main__":
    main(__doc__, COMMANDS, write_all)
