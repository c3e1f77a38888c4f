"""The page of serving: how fast exported files run, how large they are, how true their vectors are.

    python docs/results/serving.py --speed onnx.json --quality exported/export.json --out docs/results/serving

OUT/README.md    tables, and who says so        OUT/speed.json, OUT/quality.json   the files they are made from
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts

from goodviews.export.onnx.bench import EAGER
from goodviews.hub.comparison.files import markdown_lines
from goodviews.hub.files.atomic import new_folder, write_text

SPEED = ("batch", "what runs", "images/s", "times the first", "p50, ms", "p95, ms", "p99, ms", "runs")
QUALITY = (
    "file",
    "MB",
    "photos",
    "cosine, lowest",
    "cosine, mean",
    "same 10 neighbours",
    "kNN, %",
    "kNN by PyTorch, %",
)


def write(*, speed: Path, quality: Path, out: Path) -> None:
    """Write the page of serving.

    Args:
        speed: What benchmarks/onnx_speed.py wrote with --out.
        quality: export.json of an export with --int8.
        out: The folder to make; one that is there is replaced.
    """
    figures, exported = (json.loads(file.read_text()) for file in (speed, quality))
    parts = [
        "# Serving: exported files beside PyTorch",
        "Written by `docs/results/serving.py` from the files beside it; nothing is typed by hand.",
        _speed(figures),
        _sizes(figures),
        _quality(exported),
    ]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")
        shutil.copyfile(speed, folder / "speed.json")
        shutil.copyfile(quality, folder / "quality.json")


def _speed(figures: dict[str, Any]) -> str:
    prepared = [row for row in figures["rows"] if not row["name"].endswith("from disk")]
    from_disk = [row for row in figures["rows"] if row["name"].endswith("from disk")]
    text = (
        f"## Speed: {figures['architecture']} at {figures['input_px']} px\n\n{_table(prepared)}\n"
        f"The first of each batch size is {EAGER}. Every ratio is the median over {figures['rounds']} rounds, in "
        "each of which all run in turn; latency percentiles are over all runs, with whatever else the machine did "
        "then.\n\n"
        f"`{figures['command']}`: {figures['threads']} thread, {figures['hardware']} "
        f"({', '.join(figures['instructions'])}), commit {figures['commit']}, torch {figures['libraries']['torch']}, "
        f"onnxruntime {figures['libraries']['onnxruntime']}."
    )
    if not from_disk:
        return text
    return (
        f"{text}\n\n### From photos on disk to vectors\n\n{_table(from_disk)}\n"
        "Decoding and preparation counted; both run the same fp32 file."
    )


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [list(SPEED), ["---"] * len(SPEED)]
    for row in rows:
        times = [f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")]
        lines.append(
            [
                str(row["batch"]),
                row["name"],
                f"{row['images_per_s']:.1f}",
                f"{row['ratio']:.2f}",
                *times,
                str(row["runs"]),
            ]
        )
    return markdown_lines(lines)


def _sizes(figures: dict[str, Any]) -> str:
    lines = [["what runs", "most resident memory, MB"], ["---"] * 2]
    lines += [[name, f"{size:.0f}"] for name, size in figures["peak_memory_mb"].items()]
    files = [["file", "MB"], ["---"] * 2, *([name, f"{size / 1e6:.1f}"] for name, size in figures["bytes"].items())]
    return (
        f"## Memory and size\n\n{markdown_lines(lines)}\nOf a fresh process that opens the network and runs it once at "
        f"the largest batch.\n\n{markdown_lines(files)}"
    )


def _quality(exported: dict[str, Any]) -> str:
    lines = [list(QUALITY), ["---"] * len(QUALITY)]
    for name, file in exported["files"].items():
        found = file.get("difference_from_pytorch")
        if found is None:
            continue
        cosines = [f"{1 - found['largest']:.6f}", f"{1 - found['mean']:.6f}"]
        overlap = f"{found['overlap']:.3f}" if "overlap" in found else ""
        votes = [f"{found[key]:.1f}" if key in found else "" for key in ("knn", "knn_pytorch")]
        lines.append([name, f"{file['bytes'] / 1e6:.1f}", str(found["photos"]), *cosines, overlap, *votes])
    encoder = exported["encoder"]
    return (
        f"## Vectors: {encoder['name']} ({encoder['architecture']}, {encoder['preprocessing']['input_px']} px)\n\n"
        f"{markdown_lines(lines)}\n"
        "Beside PyTorch in float32. Files in int8 are judged on photos that calibration did not see: the 10 nearest "
        "neighbours of each among the others, and the accuracy of their vote. The others are compared on photos of "
        f"many sizes and shapes. Exported by goodviews {exported['goodviews']}."
    )


if __name__ == "__main__":
    cyclopts.run(write)
