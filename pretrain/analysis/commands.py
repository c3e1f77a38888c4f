"""The commands `views show`, `measure`, `sweep` and `learn`. Nothing else in this room prints."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from cyclopts import Parameter

from ...hub.output.terminal import Terminal
from .lab_options import USUAL, LabOptions, MeasureOptions

USUAL_OF_MEASURE = MeasureOptions()


def show(
    recipe: str,
    *,
    image: Path,
    out: Path,
    init: str | None = None,
    seed: int = 0,
    count: int = 4,
    overwrite: bool = False,
) -> None:
    """Draw what the network sees of a photo: several random draws of every view of a recipe, in one picture.

    Example: goodviews views show infomin_200 --image photo.jpg --out views.png

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        image: The photo.
        out: The picture to write, .png or .jpg.
        init: Encoder that the run will start from, as for `goodviews pretrain`: *_adapt recipes take its input size.
        seed: Random seed; another one draws other views.
        count: Draws of each view.
        overwrite: Replace OUT if it exists.
    """
    from ...hub.output.pictures import check_picture_name, write_picture
    from ..options import Options
    from ..recipes.registry import choose
    from ..training.start_encoder import read_start
    from ..views.contact_sheet import draw

    check_picture_name(out, overwrite, inputs=[image])
    start = read_start(Options(init=init))
    views = choose(recipe, start_px=None if start is None else start.preprocessing.input_px).views
    write_picture(draw(views, image, seed=seed, count=count), out, overwrite=overwrite, inputs=[image])
    Terminal().print(f"Views: {out}", markup=False, soft_wrap=True)


def sweep(
    name: str,
    *,
    data: str | None = None,
    out: Path,
    options: Annotated[LabOptions, Parameter(name="*")] = USUAL,
) -> None:
    """Try one property of views over its range: accuracy against I_NCE, with intervals, as JSON, picture and page.

    Each point trains a small encoder from scratch. The same command goes on with a sweep that was stopped.

    Sweeps: spatial-distance, frequency, colour-space, crop-scale, colour-jitter, ladder (InfoMin's question);
    compositions, temperature-batch, head (SimCLR's); strong (CLSA's); toy (which shared factor helps which task).

    Example: goodviews views sweep colour-jitter --data photos --out runs/jitter --budget 30m

    Args:
        name: Which sweep.
        data: Labelled photos, as for `goodviews pretrain`; none for toy, which makes its own.
        out: The RUN folder to make, or to go on with.
    """
    from .lab import run_sweep

    console = Terminal(highlight=False)
    report = run_sweep(name, data, out, options, is_shown=console.is_terminal)
    for score, curve in report["curves"].items():
        console.print(f"{score}: {curve['sentence']}", markup=False)
    console.print(f"Report: {out / 'report.html'}\nFigures: {out / 'report.json'}", markup=False, soft_wrap=True)


def measure(
    recipe: str,
    *,
    data: str,
    out: Path | None = None,
    encoder: str | None = None,
    options: Annotated[MeasureOptions, Parameter(name="*")] = USUAL_OF_MEASURE,
) -> None:
    """Say how many nats the two views of a recipe share, and what each of its operations takes away.

    The measure is I_NCE, a lower bound that cannot exceed log(K + 1), of photos that nothing learned from.

    Example: goodviews views measure infomin_200 --data photos --budget 10m

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        data: Photos, with labels or without, as for `goodviews pretrain`.
        out: The RUN folder for figures and page, to make or to go on with; by default nothing stays.
        encoder: Encoder whose vectors are compared; by default small networks are trained for it.
    """
    from rich.table import Table

    from .measure import measure_recipe

    console = Terminal(highlight=False)
    with TemporaryDirectory() as scratch:
        place = out or Path(scratch) / "run"
        report, taken = measure_recipe(recipe, data, place, options, encoder=encoder, is_shown=console.is_terminal)
    whole = report["points"][0]["information"]
    console.print(
        f"The views of {recipe} share at least {whole['nats']:.2f} nats [{whole['low']:.2f}, {whole['high']:.2f}]; K = "
        f"{whole['negatives']}, ceiling {whole['ceiling']:.2f}.",
        markup=False,
    )
    table = Table("left out", "then shared, nats", "takes away, nats", "95 % interval")
    for one in taken:
        table.add_row(one.operation, f"{one.without:.2f}", f"{one.nats:+.2f}", f"{one.low:+.2f} to {one.high:+.2f}")
    if taken:
        console.print(table)
    if out is not None:
        console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)


def learn(
    *,
    data: str,
    out: Path,
    mode: Literal["unsupervised", "semi-supervised"] = "semi-supervised",
    epochs: int = 20,
    coupling: Literal["additive", "affine"] = "additive",
    space: Literal["RGB", "YDbDr"] = "RGB",
    generator_lr: float = 1e-3,
    seeds: int = 2,
    seed: int = 0,
    px: int = 32,
    photos: int = 6000,
    overwrite: bool = False,
) -> None:
    """Learn views: a generator of three new channels, whose first shares no more with the others than is of use.

    Ends with new encoders on the raw channels and on the learned ones, in equal time, scored alike.

    Example: goodviews views learn --mode semi-supervised --data photos --out runs/views --epochs 20

    Args:
        data: Labelled photos, as for `goodviews pretrain`.
        out: The RUN folder to make, with generator, report and pictures.
        mode: What the generator plays for: to share little (unsupervised), and to keep what tells classes too.
        epochs: Passes over the photos, of the game and of each encoder after it.
        coupling: Blocks of the generator: volume-preserving (additive), or not, with 1 x 1 convolutions (affine).
        space: Colours that it is given.
        generator_lr: Learning rate of generator and classifiers; that of the critics is 2e-4.
        seeds: Encoders that score each split.
        seed: Random seed of the game.
        px: Side of the views in pixels.
        photos: Photos to use of each part of the data, at most.
        overwrite: Replace RUN.
    """
    from ...hub.flow import FlowPlan
    from .learn_run import learn as run

    report = run(
        data,
        out,
        plan=FlowPlan(coupling, space),
        mode=mode,
        epochs=epochs,
        px=px,
        seeds=seeds,
        seed=seed,
        most=photos,
        generator_lr=generator_lr,
        overwrite=overwrite,
    )
    console = Terminal(highlight=False)
    for point in report["points"]:
        scores = "  ".join(f"{name} {score['top1']:.1f} %" for name, score in point["scores"].items())
        console.print(f"{point['name']}: I_NCE {point['information']['nats']:.2f} nats  {scores}", markup=False)
    console.print(f"Generator: {out / 'generator.safetensors'}\nReport: {out / 'report.html'}", markup=False)
