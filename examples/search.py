"""Build an index of photos, search it by a photo, and draw what was found.

python examples/search.py OUT [PHOTOS] [QUERY]
"""

import sys
from importlib.resources import files
from pathlib import Path

from goodviews.export import draw_neighbours
from goodviews.export.index.build import build
from goodviews.hub import from_pretrained

BUNDLED = Path(str(files("goodviews.hub"))) / "photos"


def main(
    out: Path, photos: Path = BUNDLED / "train", query: Path = BUNDLED / "val/raccoon/raccoon-69.jpg"
) -> list[Path]:
    """Print and return the five nearest photos; OUT gets the index and a picture."""
    out.mkdir(parents=True, exist_ok=True)
    encoder = from_pretrained("goodviews:mini")
    index, _ = build(encoder, photos, out / "index")
    matches = index.search(encoder.encode([query]), 5, encoder=encoder.id)[0]
    found = [index.locate(match.item) for match in matches]
    for match, path in zip(matches, found):
        print(f"{match.similarity:.3f}  {path.parent.name}/{path.name}")
    draw_neighbours(query, [(path, match.similarity) for match, path in zip(matches, found)], out / "neighbours.png")
    return found


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
