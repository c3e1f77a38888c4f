"""The few labels of semi-supervised fine-tuning: a published list of ImageNet files, or a drawn part of each class."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...hub.errors import DataError
from ...hub.sources.files import Files


@dataclass(frozen=True)
class LabelledPart:
    """The images whose labels may be used."""

    images: Files
    id: str  # for the protocol: "all", "drawn", or the digest of a list
    description: str  # how they were chosen


def read_part(train: Files, listing: Path) -> LabelledPart:
    """The images that a file names, one a line, e.g. SimCLR's 1percent.txt (n01440764_10074.JPEG).

    Raises:
        DataError: the file cannot be read or is empty, or an image of it is not in `train`.
    """
    try:
        content = listing.read_bytes()
        names = content.decode().split()
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{listing} is not a readable text file; give a list of training images, one a line.") from None
    if not names:
        raise DataError(f"{listing} is empty; it must list training images, one a line.")
    place = {path.name: row for row, path in enumerate(train.all_paths())}
    missing = [name for name in names if Path(name).name not in place]
    if missing:
        raise DataError(
            f"{listing} names {len(names)} images, and {len(missing)} of them are not in {train.root}, "
            f"e.g. {missing[0]}; a published list goes with its whole data set. Without one a part is drawn."
        )
    rows = sorted({place[Path(name).name] for name in names})
    digest = hashlib.sha256(content).hexdigest()[:12]
    return LabelledPart(train.part(rows), digest, f"the list {listing.name}, sha256 {digest}")


def draw_part(train: Files, share: float, seed: int) -> LabelledPart:
    """Draws `share` of each class, at least one image, by `seed`; no published number belongs to such a part."""
    if share == 1:
        return LabelledPart(train, "all", "all")
    labels, random = np.array(train.labels), np.random.default_rng(seed)
    rows = []
    for label in range(len(train.classes)):
        members = np.flatnonzero(labels == label)
        rows += random.permutation(members)[: max(1, round(share * len(members)))].tolist()
    description = f"{100 * share:g} % of each class, drawn by the seed (not published)"
    return LabelledPart(train.part(sorted(rows)), "drawn", description)
