"""The command `views tune`."""

from pathlib import Path

from ...hub.output.terminal import Terminal


def tune(
    *,
    data: str,
    out: Path,
    budget: str = "30m",
    steps: int | None = None,
    seeds: int = 2,
    processes: int = 1,
    px: int = 32,
    photos: int = 4000,
    overwrite: bool = False,
) -> None:
    """Find the views for your own photos: which strength of crop, colour, blur and RandAugment to pretrain with.

    With labels it recommends what is surely better than the default; without, it shows what a criterion without labels
    prefers, and recommends the default. The same command goes on with a run that was stopped.

    Example: goodviews views tune --data photos --out runs/tune --budget 30m

    Args:
        data: Photos, with labels or without, as for `goodviews pretrain`.
        out: The RUN folder to make, or to go on with: page, figures and the recipe file tuned.py.
        budget: Time for all levels: 90s, 30m, 2h.
        steps: Steps of each training, instead of a budget.
        seeds: Trainings of each level.
        processes: Levels that are computed at the same time.
        px: Side of the views in pixels.
        photos: Photos to use of each part of the data, at most.
        overwrite: Start anew in RUN.
    """
    from ..analysis.run_sweep import seconds_of
    from .tune import tune as run

    console = Terminal(highlight=False)
    found = run(
        data,
        out,
        budget_s=seconds_of(budget) if steps is None else None,
        steps=steps,
        seeds=seeds,
        processes=processes,
        px=px,
        most=photos,
        overwrite=overwrite,
        is_shown=console.is_terminal,
    )
    for sentence in found.sentences():
        console.print(sentence, markup=False)
    command = f"goodviews pretrain {out / 'tuned.py'}:tuned --data {data} --out RUN"
    console.print(f"Page: {out / 'tune.html'}\nNext: {command}", markup=False, soft_wrap=True)
