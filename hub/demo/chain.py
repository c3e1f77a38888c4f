"""`goodviews demo`: the whole chain on photos that ship with the project, each step the command that a user would type.

The steps run one after the other, in this process, through the front door; OUT/demo.json records each as it ends. The
page OUT/report.html is written last, from the files that the steps left.
"""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..files.atomic import write_json
from ..files.overwrite import mark, refuse_folder
from ..output.terminal import Terminal

PHOTOS = Path(__file__).parents[1] / "photos"
RECIPE, EPOCHS = "simclr_adapt", "60"
MINI = "goodviews:mini"  # the start, an encoder that ships
RANDOM = "random:resnet18-w0.5-56px"  # the network of MINI, untrained: what every score is compared with
KINDS = ("adapted", "mini", "untrained")
DETECTION = "voc-detection-smoke"
VIEWED = "val/raccoon/raccoon-3.jpg"  # the photo whose views are drawn
QUERIES = {  # the photos that are searched for, by the name of the picture; none of them is in the index
    "raccoon": "val/raccoon/raccoon-69.jpg",
    "blood": "val/blood/blood-00356.jpg",
    "kitchen": "val/indoors/coco-30213.jpg",
}


@dataclass(frozen=True)
class Step:
    """One command of the demo; `title` says in a few words what it does."""

    title: str
    argv: tuple[str, ...]

    @property
    def command(self) -> str:
        """As a user types it."""
        return shlex.join(("goodviews", *self.argv))


def demo(*, out: Path = Path("goodviews-demo"), overwrite: bool = False) -> None:
    """Run the whole chain on bundled photos: minutes on two cores, no network; ends in OUT/report.html.

    Example: goodviews demo

    Args:
        out: The folder to make, for everything that the commands write.
        overwrite: Replace an earlier demo; a folder that is something else is never replaced.
    """
    from .page import write_page

    # torch reads this when it is first imported: threads that wait for each other then leave the core to others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    console = Terminal(highlight=False)
    refuse_folder(out, overwrite, kind="demo", inputs=[PHOTOS])
    if out.exists():
        shutil.rmtree(out)
    start = time.monotonic()
    log: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": 0.0, "steps": []}
    write_json(out / "demo.json", log)
    mark(out, "demo")
    lay_out_photos(out)
    chain = steps(out)
    for number, step in enumerate(chain, start=1):
        console.print(f"\n[bold cyan]{number}/{len(chain)}  {step.title}[/]")
        console.print(f"$ {step.command}", style="bold", markup=False, soft_wrap=True)
        log["steps"].append({"title": step.title, "command": step.command, "seconds": _run(step)})
        log["seconds"] = round(time.monotonic() - start, 1)
        write_json(out / "demo.json", log)
    page = write_page(out, list(QUERIES))
    console.print(f"\n[bold green]Done in {log['seconds']:.0f} s.[/] Open this page in a browser:")
    console.print(str(page), style="bold", markup=False, soft_wrap=True)


def steps(out: Path) -> list[Step]:
    """The demo's commands in their order; together they leave everything that the page shows below `out`."""
    photos, encoder = out / "photos", out / "pretrain" / "encoder"
    tested: dict[str, str | Path] = dict(zip(KINDS, (encoder, MINI, RANDOM), strict=True))
    runs = [out / "transfer" / f"{task}-{kind}" for task in ("knn", "linear") for kind in KINDS]
    adapt: list[str | Path] = [
        "pretrain",
        RECIPE,
        "--init",
        MINI,
        "--data",
        photos,
        "--epochs",
        EPOCHS,
        "--out",
        out / "pretrain",
    ]
    draw: list[str | Path] = ["views", "show", RECIPE, "--init", MINI]
    chain: list[tuple[str, list[str | Path]]] = [
        ("See what ships with goodviews", ["hub", "info", MINI]),
        ("See what the network will see", [*draw, "--image", photos / VIEWED, "--out", out / "views.png"]),
        ("Adapt it to photos, without labels", adapt),
        ("Check the encoder that was written", ["hub", "check", encoder]),
    ]
    for run in runs:
        task, kind = run.name.split("-")
        title = f"Score it: {task}, {kind}"
        chain.append((title, ["transfer", task, "--encoder", tested[kind], "--data", photos, "--out", run]))
    chain.append(("Put the scores side by side", ["compare", *runs, "--out", out / "compare"]))
    for kind in ("mini", "untrained"):
        boxed, run = out / "VOCdevkit", out / "transfer" / f"detection-{kind}"
        title = f"Fine-tune a small detector: {kind}"
        chain.append((title, ["transfer", DETECTION, "--encoder", tested[kind], "--data", boxed, "--out", run]))
    chain += [
        ("Export for use without torch", ["export", encoder, "--images", photos / "val", "--out", out / "onnx"]),
        (
            "Build a search index",
            ["index", "build", "--encoder", encoder, "--images", photos / "train", "--out", out / "index"],
        ),
    ]
    for name, query in QUERIES.items():
        picture = out / "search" / f"{name}.png"
        chain.append((f"Search: {name}", ["search", out / "index", photos / query, "-k", "5", "--out", picture]))
    return [Step(title, tuple(str(word) for word in argv)) for title, argv in chain]


def lay_out_photos(out: Path) -> None:
    """Copy the bundled photos to `out`/photos with their attribution, and the raccoons, boxed, to `out`/VOCdevkit."""
    shutil.copytree(PHOTOS, out / "photos", ignore=shutil.ignore_patterns("VOCdevkit"))
    shutil.copytree(PHOTOS / "VOCdevkit", out / "VOCdevkit")
    year = out / "VOCdevkit" / "VOC2007"
    (year / "JPEGImages").mkdir()
    for boxes in sorted((year / "Annotations").glob("*.xml")):
        photo = next((out / "photos").glob(f"*/*/{boxes.stem}.jpg"))
        shutil.copyfile(photo, year / "JPEGImages" / photo.name)


def _run(step: Step) -> float:
    """Run one command as the front door does; returns its wall time in seconds."""
    from ..cli import run

    start = time.monotonic()
    with _command_line(step):
        run(step.argv)
    return round(time.monotonic() - start, 1)


@contextmanager
def _command_line(step: Step) -> Iterator[None]:
    """Reports record the command line that made them: while a step runs, it is the step's own."""
    before, sys.argv = sys.argv, ["goodviews", *step.argv]
    try:
        yield
    finally:
        sys.argv = before
