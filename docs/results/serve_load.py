"""The page of the service under load, made from what benchmarks/serve_load.py writes with --out.

    python docs/results/serve_load.py torch.json onnx.json --out docs/results/serve-load

OUT/README.md   the table, and who says so        OUT/*.json   the script's own files
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts

from goodviews.hub.comparison.files import markdown_lines
from goodviews.hub.files.atomic import new_folder, write_text

COLUMNS = (
    "encoder",
    "photos in the index",
    "clients",
    "searches/s",
    "p50, ms",
    "p95, ms",
    "p99, ms",
    "errors",
    "processor time a search, ms",
    "photos a batch",
    "memory, MB",
)


def write(files: list[Path], /, *, out: Path) -> None:
    """Write the page of the service under load.

    Args:
        files: What benchmarks/serve_load.py wrote, of one machine.
        out: The folder to make; one that is there is replaced.
    """
    found = [json.loads(file.read_text()) for file in files]
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *(line for figures in found for line in _lines(figures))]
    parts = [
        "# The search service under load",
        "Written by `docs/results/serve_load.py` from the files beside it; nothing is typed by hand.",
        markdown_lines(lines),
        "Each client sends a photo, waits for the answer, and sends the next at once; clients and service share the "
        "machine, so the service alone would answer more. Latencies are over all searches of a round, with whatever "
        "else the machine did; the processor time of a search says how many a core answers at most.",
        *(_evidence(figures) for figures in found),
    ]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")
        for file in files:
            shutil.copyfile(file, folder / file.name)


def _lines(figures: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{figures['encoder']}, {figures['dimension']} dimensions",
            f"{figures['images']:,}",
            str(one["clients"]),
            f"{one['requests_per_s']:.1f}",
            *(f"{one[name]:.0f}" for name in ("p50_ms", "p95_ms", "p99_ms")),
            str(sum(one["errors"].values())),
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
