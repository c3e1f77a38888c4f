"""The page of the service under load, made from what benchmarks/serve_load.py writes with --out.

    python docs/results/serve_load.py torch.json onnx.json --out docs/results/serve-load

OUT/README.md   the table, and who says so        OUT/*.json   the script's own files
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, page, table, wide_table

from goodviews.hub.files.atomic import new_folder, write_text

COLUMNS = ("encoder", "clients", "searches/s", "p50, ms", "p95, ms", "errors")
OTHERS = ("encoder", "photos in the index", "clients", "p99, ms", "processor time a search, ms", "photos a batch", "MB")


def write(files: list[Path], /, *, out: Path) -> None:
    """Write the page of the service under load.

    Args:
        files: What benchmarks/serve_load.py wrote, of one machine.
        out: The folder to make; one that is there is replaced.
    """
    found = [json.loads(file.read_text()) for file in files]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", text(found))
        for file in files:
            shutil.copyfile(file, folder / file.name)


def text(found: Sequence[dict[str, Any]]) -> str:
    """The text of README.md."""
    return page(
        "The search service under load",
        question="How many searches by photo does `goodviews serve` answer, and how long do they take?",
        setting=(
            "Each client sends a photo, waits for the answer, and sends the next at once; clients and service share "
            "the machine, so the service alone would answer more."
        ),
        found=[table(COLUMNS, [cells for figures in found for cells in _rates(figures)])],
        answer=_answer(found),
        evidence=[
            folded(
                "Memory, batches, commands and hardware",
                wide_table(OTHERS, [cells for figures in found for cells in _costs(figures)]),
                *(_evidence(figures) for figures in found),
            ),
            "Made by `docs/results/serve_load.py` from the files beside this page; no figure is typed by hand.",
        ],
    )


def _answer(found: Sequence[dict[str, Any]]) -> str:
    rounds = [one for figures in found for one in figures["rounds"]]
    errors = sum(sum(one["errors"].values()) for one in rounds)
    costs = [one["cpu_ms"] for one in rounds]
    load = max(figures["load_before"] for figures in found)
    return (
        f"Up to {max(one['clients'] for one in rounds)} clients at once were answered with {errors} errors. A search "
        f"takes {min(costs):.1f} to {max(costs):.1f} ms of a processor, which says how many a core answers at most. "
        f"Latencies hold whatever else the machine did, and it was busy (a load of up to {load:.0f} before); the "
        "indexes are small."
    )


def _rates(figures: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{figures['encoder']}, {figures['dimension']} dimensions",
            str(one["clients"]),
            f"{one['requests_per_s']:.1f}",
            *(f"{one[name]:.0f}" for name in ("p50_ms", "p95_ms")),
            str(sum(one["errors"].values())),
        ]
        for one in figures["rounds"]
    ]


def _costs(figures: dict[str, Any]) -> list[list[str]]:
    return [
        [
            figures["encoder"],
            f"{figures['images']:,}",
            str(one["clients"]),
            f"{one['p99_ms']:.0f}",
            f"{one['cpu_ms']:.1f}",
            f"{one['photos_per_batch']:.1f}",
            f"{one['memory_mb']:.0f}",
        ]
        for one in figures["rounds"]
    ]


def _evidence(figures: dict[str, Any]) -> str:
    rounds = ", ".join(f"{one['requests']:,} searches in {one['seconds']:.0f} s" for one in figures["rounds"])
    photos = figures["photos"]
    return (
        f"- {figures['encoder']}: {rounds}, by {photos['number']} photos of {photos['bytes'] / 1000:.0f} kB on "
        f"average; {figures['cores']} cores of {figures['processor']}, commit {figures['commit']}, "
        f"{figures['date']}: `{figures['command']}`. "
        f"Other work had the machine at a load of {figures['load_before']:.1f} before."
    )


if __name__ == "__main__":
    cyclopts.run(write)
