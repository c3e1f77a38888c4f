"""The commands `views show`, `measure`, `sweep`, `learn` and `tune`. Nothing else in this room prints."""

from pathlib import Path

from ...hub.output.terminal import Terminal


def show(recipe: str, *, image: Path, out: Path, seed: int = 0, count: int = 4, overwrite: bool = False) -> None:
    """Draw what the network sees of a photo: several random draws of every view of a recipe, in one picture.

    Example: goodviews views show infomin_200 --image photo.jpg --out views.png

    Args:
        recipe: Name from `goodviews recipes`, or FILE.py:FUNCTION for one of your own.
        image: The photo.
        out: The picture to write, .png or .jpg.
        seed: Random seed; another one draws other views.
        count: Draws of each view.
        overwrite: Replace OUT if it exists.
    """
    from ...hub.output.pictures import check_picture_name, write_picture
    from ..recipes.registry import choose
    from ..views.contact_sheet import draw

    check_picture_name(out, overwrite, inputs=[image])
    write_picture(draw(choose(recipe).views, image, seed=seed, count=count), out, overwrite=overwrite, inputs=[image])
    Terminal().print(f"Views: {out}", markup=False, soft_wrap=True)


def sweep(
    name: str,
    *,
    data: str | None = None,
    out: Path,
    budget: str = "30m",
    steps: int | None = None,
    seeds: int = 2,
    processes: int = 1,
    px: int = 32,
    photos: int = 6000,
    overwrite: bool = False,
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
        budget: Time for all points: 90s, 30m, 2h; decides the steps of each.
        steps: Steps of each training, instead of a budget.
        seeds: Trainings of each point, 1 or more.
        processes: Points that are computed at the same time.
        px: Side of the views in pixels, 32 to 64.
        photos: Photos to use of each part of the data, at most.
        overwrite: Start anew in RUN.
    """
    from .duration import seconds_of
    from .lab import run_sweep

    budget_s = seconds_of(budget) if steps is None else None
    console = Terminal(highlight=False)
    report = run_sweep(
        name,
        data,
        out,
        budget_s=budget_s,
        steps=steps,
        seeds=seeds,
        processes=processes,
        px=px,
        most=photos,
        overwrite=overwrite,
        is_shown=console.is_terminal,
    )
    for score, curve in report["curves"].items():
        console.print(f"{score}: {curve['sentence']}", markup=False)
    console.print(f"Report: {out / 'report.html'}\nFigures: {out / 'report.json'}", markup=False, soft_wrap=True)
