"""How fast the files run beside PyTorch: the same pixels and threads, in turn, in one run, so that ratios count.

Each round runs every competitor once before the next round begins; what else the machine does meets all alike.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
import torch

from ...hub.encoder import Encoder
from ...hub.onnx_encoder import PIXELS_FILE, OnnxEncoder, Variant, file_name
from ...hub.onnx_runtimes import installed_runtimes
from ...hub.reports.provenance import hardware, libraries
from .memory import peak_memory

EAGER = "PyTorch eager fp32"
ROUNDS, ROUND_S = 5, 1.0
BATCHES = (1, 32)
HEADINGS = ("batch", "what runs", "images/s", f"times {EAGER}", "p50 ms", "p95 ms", "p99 ms")
MEMORY_HEADINGS = ("what runs", "most resident memory, MB")

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A competitor at a batch size; `ratio` is the median over rounds of its speed by PyTorch's in the same round."""

    batch: int
    name: str
    images_per_s: float
    ratio: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True)
class Measured:
    """All rows, and what they were measured on."""

    architecture: str
    input_px: int
    threads: int
    hardware: str
    libraries: dict[str, str]
    rows: list[Row]
    bytes: dict[str, int] = field(default_factory=dict)  # of each .onnx file
    peak_memory_mb: dict[str, float] = field(default_factory=dict)  # see `memory`

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_export(
    encoder: Encoder,
    folder: Path,
    *,
    name: str,
    threads: int = 1,
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
) -> Measured:
    """PyTorch, and every variant in an export folder on every runtime that is installed.

    Args:
        name: by which `from_pretrained` opens the encoder, for the process whose memory is measured.
    """
    torch.set_num_threads(threads)
    encoder = encoder.cpu().float().eval()
    files = competitors_of(folder, threads)
    rows = [
        row
        for batch in batches
        for row in race(
            batch,
            {EAGER: eager(encoder, batch), **prepared(files, encoder, batch)},
            rounds=rounds,
            round_s=round_s,
        )
    ]
    px = encoder.preprocessing.input_px
    memory = peak_memory(name, folder, eager=EAGER, px=px, batch=max(batches), threads=threads)
    return Measured(encoder.architecture, px, threads, hardware(), libraries(), rows, sizes_of(folder), memory)


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of each .onnx file."""
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.onnx"))}


def competitors_of(folder: Path, threads: int) -> dict[str, OnnxEncoder]:
    """The files that take pixels, on every runtime that is installed."""
    return {
        f"{name} {variant}": OnnxEncoder(folder, variant=variant, threads=threads, runtime=runtime)
        for variant in get_args(Variant)
        if (folder / file_name(PIXELS_FILE, variant)).is_file()
        for runtime, name in installed_runtimes().items()
    }


def pixels_of(encoder: Encoder, batch: int) -> torch.Tensor:
    px = encoder.preprocessing.input_px
    return torch.randn(batch, 3, px, px, generator=torch.Generator().manual_seed(0))


def eager(encoder: Encoder, batch: int) -> Run:
    """PyTorch as it is."""
    pixels = pixels_of(encoder, batch)

    def run() -> object:
        with torch.inference_mode():
            return encoder.embed(pixels)

    return run


def prepared(files: Mapping[str, OnnxEncoder], encoder: Encoder, batch: int) -> dict[str, Run]:
    pixels = pixels_of(encoder, batch).numpy()
    return {name: lambda file=file: file.embed(pixels) for name, file in files.items()}  # type: ignore[misc]


def race(batch: int, competitors: Mapping[str, Run], *, rounds: int = ROUNDS, round_s: float = ROUND_S) -> list[Row]:
    """Interleaved rounds; in each a competitor runs for `round_s`, at least once. A first round is not counted."""
    for run in competitors.values():
        run()
    seconds: dict[str, list[list[float]]] = {name: [] for name in competitors}
    for _ in range(rounds):
        for name, run in competitors.items():
            seconds[name].append(_for_a_while(run, round_s))
    base = [median(taken) for taken in next(iter(seconds.values()))]
    return [_row(batch, name, taken, base) for name, taken in seconds.items()]


def _row(batch: int, name: str, rounds: list[list[float]], base: list[float]) -> Row:
    every = np.concatenate(rounds)
    p50, p95, p99 = (float(1000 * np.percentile(every, q)) for q in (50, 95, 99))
    ratio = median(first / median(taken) for first, taken in zip(base, rounds))
    return Row(batch, name, batch / float(np.median(every)), ratio, p50, p95, p99, len(every))


def _for_a_while(run: Run, round_s: float) -> list[float]:
    taken: list[float] = []
    begin = time.perf_counter()
    while not taken or time.perf_counter() - begin < round_s:
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def cells(row: Row) -> list[str]:
    """A line under HEADINGS."""
    times = (f"{value:.1f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms))
    return [str(row.batch), row.name, f"{row.images_per_s:.1f}", f"{row.ratio:.2f}", *times]


def memory_cells(measured: Measured) -> list[list[str]]:
    """Lines under MEMORY_HEADINGS."""
    return [[name, f"{size:.0f}"] for name, size in measured.peak_memory_mb.items()]
