"""A set of labelled photos out of a detection set: the square around each object, in train/<class> and test/<class>.

    python benchmarks/box_crops.py --data VOCdevkit --out bccd-crops --each 400

So that `goodviews views sweep` and the other commands that want one label for each photo can use it.
"""

import argparse
from collections import Counter
from pathlib import Path

from PIL import Image

from goodviews.transfer.datasets.labelled_photos import Box, read_photo
from goodviews.transfer.datasets.voc import read_voc

CONTEXT = 1.3  # times the longer side of the box


def main() -> None:
    """Read the boxes, write the crops, print how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with VOC2007 or VOCdevkit")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--each", type=int, default=400, help="crops of each class and part, at most")
    parser.add_argument("--px", type=int, default=64, help="side of a crop in pixels")
    given = parser.parse_args()
    data = read_voc(given.data)
    written: Counter[str] = Counter()
    for part, photos in (("train", data.train), ("test", data.test)):
        for photo in photos:
            pixels = read_photo(photo)
            for number, item in enumerate(photo.objects):
                place = f"{part}/{item.name}"
                if written[place] < given.each:
                    (given.out / place).mkdir(parents=True, exist_ok=True)
                    crop = surroundings(pixels, item.box, given.px)
                    crop.save(given.out / place / f"{photo.path.stem}-{number}.png")
                    written[place] += 1
    print(*(f"{place}: {count}" for place, count in sorted(written.items())), sep="\n")


def surroundings(photo: Image.Image, box: Box, px: int) -> Image.Image:
    """A square around the middle of the box, as far as the photo reaches; black beyond."""
    left, top, right, bottom = box
    half = CONTEXT * max(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    square = tuple(round(edge) for edge in (x - half, y - half, x + half, y + half))
    return photo.crop(square).resize((px, px), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
