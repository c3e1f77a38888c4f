"""A picture of what the network sees: one photo through every view of a recipe, several draws side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...hub.errors import UsageError
from ...hub.images import read_image
from ..data.decode import read_crops
from ..randomness import uniforms
from .operations import Normalize
from .view import CentreCrop, View

_CELL_PX, _GAP_PX, _PATCH_GAP_PX, _MARGIN_PX, _PHOTO_PX = 168, 20, 4, 28, 336
_TITLE_PX, _NOTE_PX, _CAPTION_PX = 17, 12, 46  # type sizes; height of a row's caption
_MOST_DRAWS = 100
_PAPER, _INK, _FAINT = (255, 255, 255), (28, 32, 38), (110, 118, 128)


def draw(views: Sequence[View], image_path: Path, *, seed: int, count: int) -> Image.Image:
    """The photo on the left; for each view a captioned row of `count` independent draws of it.

    Colours are as the network gets them before normalisation; crops are shown at one size whatever their own.

    Raises:
        DataError: the image cannot be read.
        UsageError: no draw is asked for, or more than a picture can show.
    """
    if not 1 <= count <= _MOST_DRAWS:
        raise UsageError(f"A sheet of {count} draws cannot be looked at; ask for 1 to {_MOST_DRAWS}.")
    photo = read_image(image_path)
    grid_left = _MARGIN_PX + _PHOTO_PX + 2 * _MARGIN_PX
    row_px = _CAPTION_PX + _CELL_PX + _MARGIN_PX
    shown = photo.resize(_fit(photo.size, _PHOTO_PX, max(_PHOTO_PX, len(views) * row_px)), Image.Resampling.LANCZOS)
    height = _MARGIN_PX + max(len(views) * row_px, _CAPTION_PX + shown.height + _MARGIN_PX)
    sheet = Image.new("RGB", (grid_left + count * (_CELL_PX + _GAP_PX) - _GAP_PX + _MARGIN_PX, height), _PAPER)
    _write(sheet, (_MARGIN_PX, _MARGIN_PX), Path(image_path).name, f"{photo.width} x {photo.height} px", _PHOTO_PX)
    sheet.paste(shown, (_MARGIN_PX, _MARGIN_PX + _CAPTION_PX))
    for row, (view, pictures) in enumerate(zip(views, _draws(views, image_path, seed, count), strict=True)):
        top = _MARGIN_PX + row * row_px
        _write(sheet, (grid_left, top), view.name, _describe(view), sheet.width - _MARGIN_PX - grid_left)
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (grid_left + column * (_CELL_PX + _GAP_PX), top + _CAPTION_PX))
    return sheet


def _draws(views: Sequence[View], image_path: Path, seed: int, count: int) -> list[list[Image.Image]]:
    """For each view, `count` pictures of one cell's size."""
    visible = [
        replace(view, program=tuple(op for op in view.program if not isinstance(op, Normalize))) for view in views
    ]
    pictures: list[list[Image.Image]] = [[] for _ in views]
    for turn in range(count):
        rows = [uniforms(seed, turn, 0, i, view.width) for i, view in enumerate(visible)]
        crops = read_crops(image_path, [view.crop for view in visible], rows)
        for view, crop, row, line in zip(visible, crops, rows, pictures, strict=True):
            line.append(_cell(view.render(crop[None], torch.from_numpy(row)[None])[0]))
    return pictures


def _cell(view: Tensor) -> Image.Image:
    """One rendered view, (3, H, W) or jigsaw patches (grid², 3, h, w), uint8."""
    if view.dim() == 3:
        return _picture(view, _CELL_PX)
    grid = round(len(view) ** 0.5)
    side = (_CELL_PX - (grid - 1) * _PATCH_GAP_PX) // grid
    cell = Image.new("RGB", (_CELL_PX, _CELL_PX), _PAPER)
    for number, patch in enumerate(view):
        row, column = divmod(number, grid)
        cell.paste(_picture(patch, side), (column * (side + _PATCH_GAP_PX), row * (side + _PATCH_GAP_PX)))
    return cell


def _picture(image: Tensor, px: int) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).resize((px, px), Image.Resampling.BICUBIC)


def _describe(view: View) -> str:
    crop, operations = view.crop, " · ".join(type(operation).__name__ for operation in view.program)
    part = "the middle" if isinstance(crop, CentreCrop) else "{:.0%} to {:.0%}".format(*crop.scale)
    return f"{crop.px} px from {part} of the photo · {operations}"


def _write(sheet: Image.Image, place: tuple[int, int], title: str, note: str, width: int) -> None:
    """A title and a smaller note below it, each cut where the width ends."""
    canvas = ImageDraw.Draw(sheet)
    left, top = place
    for text, size, ink, down in ((title, _TITLE_PX, _INK, 0), (note, _NOTE_PX, _FAINT, _TITLE_PX + 6)):
        font = ImageFont.load_default(size)
        whole = text
        while canvas.textlength(text, font=font) > width and len(text) > 1:
            whole = whole[:-1]
            text = whole.rstrip(" ·") + "…"
        canvas.text((left, top + down), text, fill=ink, font=font)


def _fit(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    scale = min(width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
