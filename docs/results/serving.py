"""The page of serving: how fast exported files run, how large they are, how true their vectors are.

    python docs/results/serving.py --speed onnx.json --quality exported/export.json --out docs/results/serving

OUT/README.md    tables, and who says so        OUT/speed.json, OUT/quality.json   the files they are made from
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, page, table, wide_table

from goodviews.export.onnx.bench import EAGER
from goodviews.hub.files.atomic import new_folder, write_text

SPEED = ("batch", "what runs", "images/s", "times the first", "p50, ms", "p95, ms")
ALL_SPEED = ("batch", "what runs", "images/s", "p50, ms", "p95, ms", "p99, ms", "runs")
QUALITY = ("file", "MB", "cosine, lowest", "same 10 neighbours", "kNN, %", "kNN by PyTorch, %")
ALL_QUALITY = ("file", "photos", "cosine, lowest", "cosine, mean")


def write(*, speed: Path, quality: Path, out: Path) -> None:
    """Write the page of serving.

    Args:
        speed: What benchmarks/onnx_speed.py wrote with --out.
        quality: export.json of an export with --int8.
        out: The folder to make; one that is there is replaced.
    """
    figures, exported = (json.loads(file.read_text()) for file in (speed, quality))
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", text(figures, exported))
        shutil.copyfile(speed, folder / "speed.json")
        shutil.copyfile(quality, folder / "quality.json")


def text(figures: dict[str, Any], exported: dict[str, Any]) -> str:
    """The text of README.md."""
    encoder = exported["encoder"]
    return page(
        "Serving: exported files beside PyTorch",
        question="How much faster and smaller are exported files, and what do they lose?",
        setting=(
            f"Speed and memory: {figures['architecture']} at {figures['input_px']} px, {figures['threads']} thread. "
            f"Vectors: {encoder['name']} ({encoder['architecture']}, {encoder['preprocessing']['input_px']} px), "
            "beside PyTorch in float32; files in int8 are judged on photos that calibration did not see: the 10 "
            "nearest neighbours of each among the others, and the accuracy of their vote."
        ),
        found=[
            "### Speed",
            *_speed(figures),
            "### Memory and size",
            *_sizes(figures),
            "### Vectors",
            _quality(exported),
        ],
        answer=_answer(figures, exported),
        evidence=[
            folded("All latencies, command and hardware", *_speed_evidence(figures)),
            folded("All vectors", _all_vectors(exported), f"Exported by goodviews {exported['goodviews']}."),
            "Made by `docs/results/serving.py` from speed.json and quality.json; no figure is typed by hand.",
        ],
    )


def _is_from_disk(row: dict[str, Any]) -> bool:
    return bool(row["name"].endswith("from disk"))


def _speed(figures: dict[str, Any]) -> list[str]:
    prepared = [_speed_cells(row) for row in figures["rows"] if not _is_from_disk(row)]
    from_disk = [_speed_cells(row) for row in figures["rows"] if _is_from_disk(row)]
    about = (
        f"The first of each batch size is {EAGER}. Every ratio is the median over {figures['rounds']} rounds, in each "
        "of which all run in turn."
    )
    more = "From photos on disk to vectors, decoding and preparation counted; both run the same fp32 file:"
    return [table(SPEED, prepared), about, *([more, table(SPEED, from_disk)] if from_disk else [])]


def _speed_cells(row: dict[str, Any]) -> list[str]:
    times = [f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms")]
    return [str(row["batch"]), row["name"], f"{row['images_per_s']:.1f}", f"{row['ratio']:.2f}", *times]


def _speed_evidence(figures: dict[str, Any]) -> list[str]:
    rows = [
        [
            str(row["batch"]),
            row["name"],
            f"{row['images_per_s']:.1f}",
            *(f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")),
            str(row["runs"]),
        ]
        for row in figures["rows"]
    ]
    return [
        wide_table(ALL_SPEED, rows),
        "Latencies are over all runs, with whatever else the machine did then.",
        f"`{figures['command']}`: {figures['threads']} thread, {figures['hardware']} "
        f"({', '.join(figures['instructions'])}), commit {figures['commit']}, torch {figures['libraries']['torch']}, "
        f"onnxruntime {figures['libraries']['onnxruntime']}.",
    ]


def _sizes(figures: dict[str, Any]) -> list[str]:
    memory = [[name, f"{size:.0f}"] for name, size in figures["peak_memory_mb"].items()]
    files = [[name, f"{size / 1e6:.1f}"] for name, size in figures["bytes"].items()]
    return [
        table(["what runs", "most resident memory, MB"], memory),
        "Of a fresh process that opens the network and runs it once at the largest batch.",
        table(["file", "MB"], files),
    ]


def _compared(exported: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, file and difference of those that were compared with PyTorch."""
    files = exported["files"].items()
    return [(name, file, file["difference_from_pytorch"]) for name, file in files if "difference_from_pytorch" in file]


def _quality(exported: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{file['bytes'] / 1e6:.1f}",
            f"{1 - found['largest']:.6f}",
            f"{found['overlap']:.3f}" if "overlap" in found else "",
            *(f"{found[key]:.1f}" if key in found else "" for key in ("knn", "knn_pytorch")),
        ]
        for name, file, found in _compared(exported)
    ]
    return table(QUALITY, rows)


def _all_vectors(exported: dict[str, Any]) -> str:
    rows = [
        [name, str(found["photos"]), f"{1 - found['largest']:.6f}", f"{1 - found['mean']:.6f}"]
        for name, _, found in _compared(exported)
    ]
    about = "Files in float32 and float16 are compared on photos of many sizes and shapes."
    return f"{wide_table(ALL_QUALITY, rows)}\n{about}"


def _answer(figures: dict[str, Any], exported: dict[str, Any]) -> str:
    sentences = []
    for kind, words in (("fp32", "In float32"), ("int8", "In int8")):
        ratios = [row["ratio"] for row in figures["rows"] if row["name"].endswith(kind) and row["name"] != EAGER]
        if ratios:
            sentences.append(f"{words} exported files run at {min(ratios):.1f} to {max(ratios):.1f} times {EAGER}.")
    sentences += [
        f"{name} keeps {100 * found['overlap']:.1f} % of the 10 nearest neighbours; their vote is right for "
        f"{found['knn']:.1f} % of the photos, by PyTorch's vectors for {found['knn_pytorch']:.1f} %."
        for name, _, found in _compared(exported)
        if "knn" in found
    ]
    return " ".join([*sentences, "One processor, one network each: int8 gains where the processor multiplies int8."])


if __name__ == "__main__":
    cyclopts.run(write)
