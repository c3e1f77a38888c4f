"""The command `search`: it opens what is named, calls the library, and prints what came of it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from ...hub.output.terminal import Terminal
from ..printing import print_line


def search(
    index: Path,
    image: Path,
    *,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 5,
    out: Path | None = None,
    encoder: str | None = None,
    overwrite: bool = False,
) -> None:
    """Find the photos most like one photo.

    Prints their ids, cosine similarities (1 for the same direction) and paths, the most similar first. Photos whose
    files are no longer there are marked.

    Example: goodviews search index cat.jpg -k 5 --out neighbours.png

    Args:
        index: Index folder.
        image: The photo to look up; it need not be in the index.
        k: Number of neighbours; of an index with fewer photos, all of them.
        out: Picture to draw of the photo and its neighbours, .png or .jpg; by default none.
        encoder: Where the index's encoder is now, on PyTorch or exported; by default where it was.
        overwrite: Replace the picture if it exists.
    """
    from ...hub.images import read_image
    from ...hub.output.pictures import check_picture_name
    from ..index.image_index import load
    from ..index.open_encoder import encoder_of, values_of
    from .neighbours import draw_neighbours
    from .photo_search import search as look_up

    console, inputs = Terminal(), (index, image, encoder)
    if out is not None:
        check_picture_name(out, overwrite, inputs=inputs)
    opened = load(index)
    opened.refuse_k(k)
    values = values_of(opened)
    photo = read_image(image, values=values)  # an unreadable photo is known before the encoder is loaded
    matches = look_up(opened, encoder_of(opened, encoder, verify=False), photo, k)
    table = Table("id", "similarity", "image")
    for match in matches:
        gone = "" if match.item.full_path.is_file() else " (file is gone)"
        table.add_row(str(match.item.id), f"{match.similarity:.4f}", escape(opened.name_of(match.item)) + gone)
    console.print(table)
    if out is not None:
        found = [(opened.locate(match.item), match.similarity) for match in matches]
        draw_neighbours(photo, found, out, name=image.name, values=values, overwrite=overwrite, inputs=inputs)
        print_line(console, f"picture: {out}")
