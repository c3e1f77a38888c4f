"""`goodviews demo`: the whole chain on photos that ship with the project, each step the command a user would type.

The steps are run in this process through the front door, one after the other, and noted in OUT/demo.json as they end. The page,
OUT/report.html, is written last, from the files that the steps left.
"""

import shlex
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from .atomic import write_json

RECIPE = "infomin_demo"
RANDOM = "random:resnet18"  # the architecture of RECIPE, untrained
DETECTION = "voc-detection-smoke"
SEEN = "val/raccoon/raccoon-34.jpg"  # the photo whose views are drawn
QUERIES = ("val/raccoon/raccoon-21.jpg", "val/blood/blood-00078.jpg", "val/places/coco-397133.jpg")


@dataclass(frozen=True)
class Step:
    """One command of the demo: `title` says in a few words what it does."""

    title: str
    argv: tuple[str, ...]

    @property
    def command(self) -> str:
        """As a user types it."""
        return shlex.join(("goodviews", *self.argv))


def demo(*, out: Path = Path("goodviews-demo"), overwrite: bool = False) -> None:
    """Pretrain, measure, export and search on bundled photos; ends in OUT/report.html. Minutes on two cores, no network.

    Args:
        out: folder to create.
        overwrite: replace an earlier demo in `out`.
    """
    from .demo_report import write_report

    console = Console(highlight=False)
    _clear(out, overwrite)
    begin = time.monotonic()
    lay_out_photos(out)
    done: list[dict[str, object]] = []
    for number, step in enumerate(steps(out), start=1):
        console.print(f"\n[bold cyan]{number}. {step.title}[/]\n[bold]$ {step.command}[/]", soft_wrap=True)
        done.append({**asdict(step), "command": step.command, "seconds": _run(step)})
        write_json(out / "demo.json", {"started": _now(), "steps": done, "seconds": time.monotonic() - begin})
    page = write_report(out)
    console.print(f"\n[bold green]Done in {_minutes(time.monotonic() - begin)}.[/] Open [bold]{page}[/] in a browser.")
