"""Embed a folder of photos and sort it into groups, without labels.

    python examples/embed_and_cluster.py [PHOTOS] [GROUPS]

Without arguments it sorts the photos that goodviews ships into four groups, and counts the folders in each: the
encoder has seen none of these labels.
"""

import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

from scipy.cluster.vq import kmeans2

from goodviews.hub import find_images, from_pretrained

BUNDLED = Path(str(files("goodviews.hub"))) / "photos" / "train"


def main(folder: Path = BUNDLED, groups: int = 4) -> list[Counter[str]]:
    """Print each group's folders, the largest first, and return the counts."""
    photos = find_images(folder)
    encoder = from_pretrained("goodviews:mini")
    vectors = encoder.encode(photos, progress=True)  # (N, 256), unit length: Euclidean distance orders as cosine does
    _, group_of = kmeans2(vectors, groups, minit="++", seed=0)
    found = []
    for group in range(groups):
        names = Counter(photo.parent.name for photo, own in zip(photos, group_of) if own == group)
        print(f"group {group}: " + ", ".join(f"{count} {name}" for name, count in names.most_common()))
        found.append(names)
    return found


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*([Path(arguments[0])] if arguments else []), *map(int, arguments[1:]))
