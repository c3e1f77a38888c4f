"""A picture of a search: the query at the left, its neighbours beside it, similarity and name under each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.files.overwrite import Input
from ...hub.images import ImageLike, as_photo, read_image
from ...hub.output.pictures import check_picture_name, write_picture

TILE_PX = 240
GAP_PX = 16
CAPTION_PX = 46
COLUMNS = 5
PAPER, INK, FAINT, ACCENT = "#ffffff", "#1b1f24", "#6a737d", "#1f6feb"


@dataclass(frozen=True)
class Tile:
    """One image of the picture; None for an image that is gone or cannot be read any more."""

    image: Image.Image | None
    title: str
    name: str


def draw_neighbours(
    query: ImageLike,
    neighbours: Sequence[tuple[Path, float]],
    out: Path,
    *,
    name: str | None = None,
    values: Values | None = None,
    overwrite: bool = False,
    inputs: Sequence[Input] = (),
) -> Path:
    """Write the picture; its format follows the name of `out`.

    Args:
        query: the photo that was looked up.
        neighbours: path and cosine similarity, the most similar first.
        out: .png or .jpg to write.
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.
        name: of the query, to stand under it; by default its file's.
        overwrite: replace a picture that exists.
        inputs: paths that the picture must not replace.

    Raises:
        DataError: the query cannot be read.
        OutputExists: `out` exists and `overwrite` is off.
        UsageError: `out` is neither .png nor .jpg.
    """
    check_picture_name(out, overwrite, inputs=inputs)
    tiles = [
        Tile(_read(path, values), f"{rank}.   {similarity:.3f}", path.name)
        for rank, (path, similarity) in enumerate(neighbours, 1)
    ]
    own_name = Path(query).name if isinstance(query, str | Path) else ""
    asked = Tile(as_photo(query, values=values), "query", name or own_name)
    return write_picture(lay_out(asked, tiles), out, overwrite=overwrite, inputs=inputs)


def lay_out(query: Tile, neighbours: Sequence[Tile]) -> Image.Image:
    """The tiles on white: the query in a frame of its own, the others in rows of COLUMNS."""
    columns = min(COLUMNS, len(neighbours))
    rows = -(-len(neighbours) // COLUMNS)
    pitch, row_px = TILE_PX + GAP_PX, TILE_PX + CAPTION_PX + GAP_PX
    start = pitch + 2 * GAP_PX
    sheet = Image.new("RGB", (start + columns * pitch + GAP_PX, rows * row_px + 2 * GAP_PX), PAPER)
    _put(sheet, query, GAP_PX, GAP_PX, ACCENT)
    line_x = start - GAP_PX // 2
    ImageDraw.Draw(sheet).line([(line_x, GAP_PX), (line_x, sheet.height - GAP_PX)], fill="#d0d7de")
    for position, tile in enumerate(neighbours):
        row, column = divmod(position, COLUMNS)
        _put(sheet, tile, start + GAP_PX // 2 + column * pitch, GAP_PX + row * row_px, INK)
    return sheet


def _put(sheet: Image.Image, tile: Tile, x: int, y: int, colour: str) -> None:
    draw = ImageDraw.Draw(sheet)
    if tile.image is None:
        draw.rectangle([x, y, x + TILE_PX, y + TILE_PX], outline="#d0d7de")
        draw.text((x + TILE_PX // 2, y + TILE_PX // 2), "not there any more", FAINT, _font(14), anchor="mm")
    else:
        fitted = ImageOps.contain(tile.image, (TILE_PX, TILE_PX))
        sheet.paste(fitted, (x, y + TILE_PX - fitted.height))  # standing on its caption
    draw.text((x, y + TILE_PX + 6), tile.title, colour, _font(17))
    draw.text((x, y + TILE_PX + 28), _shorten(tile.name, draw), FAINT, _font(13))


def _shorten(name: str, draw: ImageDraw.ImageDraw) -> str:
    """The name, its middle replaced by an ellipsis where it is wider than a tile."""
    shown, keep = name, len(name)
    while draw.textlength(shown, _font(13)) > TILE_PX and keep > 2:
        keep -= 1
        shown = name[: keep - keep // 2] + "…" + name[-(keep // 2) :]
    return shown


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _read(path: Path, values: Values | None) -> Image.Image | None:
    try:
        return read_image(path, values=values)
    except DataError:
        return None
