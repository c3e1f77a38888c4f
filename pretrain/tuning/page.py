"""What `views tune` leaves: a page with views at the chosen and at both extreme strengths, and a recipe file."""

import base64
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...hub.files.atomic import write_text
from ...hub.output.templates import fill_template
from ..analysis.pairs import render
from ..views.operations import Normalize
from ..views.view import View
from .recommendation import Recommendation
from .strengths import DEFAULT, LEVELS, Strengths, knobs, program_of, views_with

CELL_PX, GAP_PX, TEXT_PX, DRAWS = 72, 6, 130, 2
SMALL_PX = 40  # photos of at most this side get the network with the stem for them


def write_page(found: Recommendation, report: dict[str, Any], photos: Tensor, px: int, out: Path) -> None:
    """OUT/tune.html, and its picture of views."""
    sheet = BytesIO()
    draw_views(found, photos, px).save(sheet, "PNG")
    pictures = {"views": sheet.getvalue(), "curve": (out / "curve.png").read_bytes()}
    values = {
        "found": found,
        "report": report,
        "pictures": {name: base64.b64encode(content).decode() for name, content in pictures.items()},
    }
    write_text(out / "tune.html", fill_template("goodviews.pretrain.tuning", "tune.html.j2", values))


def draw_views(found: Recommendation, photos: Tensor, px: int) -> Image.Image:
    """For each knob: the photos at its weakest level, as recommended, at its strongest."""
    rows = [(f"{knob.replace('_', ' ')}", knob) for knob in knobs()]
    across = 3 * (len(photos) * DRAWS * (CELL_PX + GAP_PX) + 2 * GAP_PX)
    height = 24 + len(rows) * (CELL_PX + 22)
    sheet = Image.new("RGB", (TEXT_PX + across, height), "white")
    canvas, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (title, knob) in enumerate(rows):
        top = 24 + row * (CELL_PX + 22)
        canvas.text((6, top + CELL_PX // 2 - 6), title, fill="#202124", font=font)
        low, high = LEVELS[knob][0], LEVELS[knob][-1]
        levels = (("weakest", low), ("recommended", getattr(found.strengths, knob)), ("strongest", high))
        left = TEXT_PX
        for name, level in levels:
            canvas.text((left, top - 16), f"{name}: {level:g}", fill="#5f6368", font=font)
            for image in _draws(replace(found.strengths, **{knob: level}), photos, px, seed=row):
                sheet.paste(image, (left, top))
                left += CELL_PX + GAP_PX
            left += 2 * GAP_PX
    return sheet


def _draws(strengths: Strengths, photos: Tensor, px: int, *, seed: int) -> list[Image.Image]:
    view = views_with(strengths, px).views[0]
    visible = View(view.name, view.crop, tuple(step for step in view.program if not isinstance(step, Normalize)))
    generator = torch.Generator().manual_seed(seed)
    images = render(visible, photos.repeat_interleave(DRAWS, dim=0), generator)
    return [Image.fromarray(one.permute(1, 2, 0).numpy()).resize((CELL_PX, CELL_PX)) for one in images]


def write_recipe(found: Recommendation, report: dict[str, Any], path: Path, *, photo_px: int) -> None:
    """A recipe file for `goodviews pretrain tuned.py:tuned`."""
    base, px = ("moco_v2_cifar_cpu", 32) if photo_px <= SMALL_PX else ("moco_v2_imagenette_cpu", 48)
    steps = "".join(f"        {step!r},\n" for step in program_of(found.strengths, px))
    names = sorted({type(step).__name__ for step in program_of(found.strengths, px)} - {"RandAugment"} | {"Normalize"})
    imports = f"from goodviews.pretrain.views.operations import {', '.join(names)}\n"
    if found.strengths.rand_augment:
        imports += "from goodviews.pretrain.views.rand_augment import RandAugment\n"
    kind = "the default strengths" if found.strengths == DEFAULT else "strengths chosen by labels"
    write_text(
        path,
        f'"""Views for {report["data"]["name"]}: {kind}, by `goodviews views tune`."""\n\n'
        "from dataclasses import replace\n\n"
        "from goodviews.pretrain import Recipe\n"
        f"from goodviews.pretrain.recipes.moco import {base}\n"
        f"{imports}"
        "from goodviews.pretrain.views.view import RandomResizedCrop, View\n\n\n"
        "def tuned() -> Recipe:\n"
        f'    """{base} with these views."""\n'
        f"    crop = RandomResizedCrop({px}, scale=({found.strengths.crop:g}, 1.0))\n"
        f"    program = (\n{steps}        Normalize(),\n    )\n"
        f'    views = View("query", crop, program), View("key", crop, program)\n'
        f"    return replace({base}(), views=views)\n",
    )
