"""`views learn` from the photos to RUN: a generator, its game's figures, its views beside the raw channels, a report.

RUN/generator.safetensors, generator.json    the generator, for the recipe `cmc_learned`
RUN/metrics.jsonl                            what the parts share and the classifiers' loss, along the game
RUN/views.png                                photos of goodviews: raw channels, learned channels
RUN/report.json, report.html, curve.png      I_NCE and scores of new encoders on the raw split and on the learned one
"""

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...hub.errors import UsageError
from ...hub.files.atomic import new_folder, write_text
from ...hub.flow import Flow, FlowPlan, save_generator
from ...hub.images import read_image
from ...hub.reports.report import Evidence
from .compute import SPARE_SIDE
from .learn import Game, GameStep, LearnedSplit, learn_views
from .pairs import normalized
from .photo_arrays import read_photos, square
from .point_results import compute_point
from .run_sweep import Plan
from .sweep_report import write_report
from .sweeps import Frame, Point, Sweep
from .trainer import Asked, Training, usual_precision

LINES = 200  # of metrics.jsonl, over the whole game
_CELL_PX, _GAP_PX, _SHOWN = 96, 6, 4


def learn(
    data: str,
    out: Path,
    *,
    plan: FlowPlan,
    mode: Any,
    epochs: int,
    px: int = 32,
    seeds: int = 2,
    seed: int = 0,
    most: int = 6000,
    generator_lr: float = 1e-3,
    precision: Asked = "auto",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Play the game, score what came of it, write RUN; returns the report.

    Raises:
        DataError: too few photos, or no labels.
        Diverged: the game was stopped.
        OutputExists: RUN exists.
    """
    if epochs < 1 or seeds < 1:
        raise UsageError("--epochs and --seeds take 1 or more.")
    with new_folder(out, overwrite, kind="generator", inputs=[data]) as partial:
        photos = read_photos(data, px=SPARE_SIDE * px, least_px=px, most=most, needs_labels=False)
        batch_size = min(128, len(photos.train) // 2)
        steps = epochs * (len(photos.train) // batch_size)
        game = Game(mode, steps, px=px, batch_size=batch_size, generator_lr=generator_lr)
        lines: list[GameStep] = []
        flow = learn_views(
            photos.train, plan, game, classes=photos.classes.get("class", 0), seed=seed, observe=lines.append
        )
        save_generator(flow, partial)
        every = max(1, steps // LINES)
        write_text(partial / "metrics.jsonl", "".join(json.dumps(asdict(line)) + "\n" for line in lines[::every]))
        draw_channels(flow, px).save(partial / "views.png")
        training = Training(steps=steps, batch_size=batch_size, precision=usual_precision(precision))
        question = f"Do {mode} views teach more than the raw channels?"
        sweep = Sweep("learned views", question, _points(flow, px, training), has_curve=False)
        frame = Frame(px, photos.train.images.shape[-1], training)
        about = {**photos.about, "generator": asdict(plan), "game": asdict(game)}
        results = [
            compute_point(sweep, point, photos, seed=number) for point in sweep.points for number in range(seeds)
        ]
        return write_report(Plan(sweep, frame, seeds, about, asdict(Evidence())), results, partial)


def _points(flow: Flow, px: int, training: Training) -> tuple[Point, ...]:
    raw = Flow(flow.plan).eval()  # untrained: the colours themselves
    name = f"{flow.plan.space}, first channel against the others"
    return (
        Point(f"raw: {name}", LearnedSplit(raw, px), training),
        Point(f"learned from {flow.plan.space}", LearnedSplit(flow, px), training),
    )


@torch.no_grad()
def draw_channels(flow: Flow, px: int) -> Image.Image:
    """Photos that ship with goodviews: the photo, its three raw channels, its three learned ones."""
    folder = Path(str(files("goodviews.hub"))) / "photos" / "val"
    places = [
        path
        for name in ("outdoors", "raccoon", "indoors", "blood")
        for path in sorted((folder / name).glob("*.jpg"))[:1]
    ]
    shown = torch.stack([square(read_image(path), max(px, _CELL_PX)) for path in places[:_SHOWN]])
    images = normalized(shown)
    raw, learned = Flow(flow.plan).eval()(images), flow(images)
    step, top = _CELL_PX + _GAP_PX, 20
    sheet = Image.new("RGB", (7 * step + 2 * _GAP_PX, top + len(shown) * step), "white")
    canvas, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, title in ((0, "photo"), (1, f"raw {flow.plan.space}: first | others"), (4, "learned: first | others")):
        canvas.text((column * step + 2, 2), title, fill="#202124", font=font)
    for row in range(len(shown)):
        cells = [Image.fromarray(shown[row].permute(1, 2, 0).numpy())]
        cells += [_gray(channel) for channel in (*raw[row], *learned[row])]
        for column, cell in enumerate(cells):
            sheet.paste(cell.resize((_CELL_PX, _CELL_PX)), (column * step, top + row * step))
    return sheet


def _gray(channel: Tensor) -> Image.Image:
    """From its 1st to its 99th percentile."""
    low, high = channel.quantile(0.01), channel.quantile(0.99)
    levels = ((channel - low) / (high - low).clamp(min=1e-6)).clamp(0, 1) * 255
    return Image.fromarray(levels.round().to(torch.uint8).numpy())
