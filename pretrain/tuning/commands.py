"""The command `views tune`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...hub.output.terminal import Terminal
from ..analysis.lab_options import TuneOptions

USUAL = TuneOptions()


def tune(
    *,
    data: str,
    out: Path,
    options: Annotated[TuneOptions, Parameter(name="*")] = USUAL,
) -> None:
    """Find the views for your own photos: which strength of crop, colour, blur and RandAugment to pretrain with.

    With labels it recommends what is surely better than the default; without, it shows what a criterion without labels
    prefers, and recommends the default. The same command goes on with a run that was stopped.

    Example: goodviews views tune --data photos --out runs/tune --budget 30m

    Args:
        data: Photos, with labels or without, as for `goodviews pretrain`.
        out: The RUN folder to make, or to go on with: page, figures and the recipe file tuned.py.
    """
    from .tune import tune as run

    console = Terminal(highlight=False)
    found = run(data, out, options, is_shown=console.is_terminal)
    for sentence in found.sentences():
        console.print(sentence, markup=False)
    command = f"goodviews pretrain {out / 'tuned.py'}:tuned --data {data} --out RUN"
    console.print(f"Page: {out / 'tune.html'}\nNext: {command}", markup=False, soft_wrap=True)
