"""Find photos that are nearly the same: reduced, cropped or saved again.

    python examples/near_duplicates.py [PHOTOS]

Without PHOTOS it makes some: every fifth bundled photo again, smaller, cropped by a tenth and compressed hard. It then
prints the most similar pairs, and how many of the copies have their original for their nearest neighbour.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from goodviews.hub import find_images, from_pretrained, read_image

BUNDLED = Path(str(files("goodviews.hub"))) / "photos" / "train"


def main(folder: Path | None = None) -> float | None:
    """Print pairs; of photos that it made itself, return the share of copies that found their original."""
    if folder is not None:
        pairs(folder)
        return None
    with tempfile.TemporaryDirectory() as made:
        copies = make_copies(Path(made))
        photos, similarity = pairs(Path(made))
        nearest = {photo.name: photos[place].name for photo, place in zip(photos, similarity.argmax(axis=1))}
        found = sum(nearest[copy] == original for copy, original in copies.items()) / len(copies)
    print(f"{100 * found:.0f} % of {len(copies)} copies are nearest to their original.")
    return found


def pairs(folder: Path, show: int = 5) -> tuple[list[Path], np.ndarray]:
    """Print the most similar pairs; returns the photos and their similarities, -1 with themselves."""
    photos = find_images(folder)
    vectors = from_pretrained("goodviews:mini").encode(photos)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    upper = np.triu(similarity, k=1)
    for place in np.argsort(upper, axis=None)[::-1][:show]:
        first, second = np.unravel_index(place, upper.shape)
        print(f"{upper[first, second]:.3f}  {photos[first].name}  {photos[second].name}")
    return photos, similarity


def make_copies(folder: Path) -> dict[str, str]:
    """Write all bundled photos and changed copies of every fifth; returns the originals by the copies' names."""
    copies = {}
    for number, path in enumerate(find_images(BUNDLED)):
        image = read_image(path)
        image.save(folder / path.name)
        if number % 5 == 0:
            width, height = image.size
            part = image.crop((width // 20, height // 20, width - width // 20, height - height // 20))
            name = f"copy-of-{path.name}"
            part.resize((part.width // 2, part.height // 2)).save(folder / name, quality=40)
            copies[name] = path.name
    return copies


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
