"""How an index of a million vectors is built and searched: peak memory, recall, and queries a second beside numpy's.

    python benchmarks/index_scale.py --count 1000000 --dimension 2048
    python benchmarks/index_scale.py --count 1000000 --dimension 128

Made-up unit vectors (clusters of 48 directions, noise, and the large common part of real features) are written as
`goodviews embed` writes them. A process of its own then builds the index with the rule's kind, or with --index, and its
peak of resident memory is read, mapped files included. Another opens the index and, in turns of the same run, searches
for new vectors and compares them with all others in numpy, on one thread: a matrix product and argpartition, block by
block. Both take all queries at once, and then one query after the other ("alone"). The recall is of what the search
finds of numpy's ten.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from goodviews.export.embedding.vector_files import About, Rows, read_vectors, write_vectors
from goodviews.export.index.build import build_from_vectors
from goodviews.export.index.image_index import load
from goodviews.hub.identity import EncoderId
from goodviews.hub.preprocessing import Preprocessing
from goodviews.hub.reports.provenance import command, commit, hardware

CLUSTERS, DIRECTIONS, BLOCK = 2000, 48, 10_000
K = 10


@dataclass(frozen=True)
class MadeUp:
    """What an index asks of an encoder, for vectors that none made."""

    id: EncoderId
    source: None = None
    backend: str = "onnx"

    @property
    def num_features(self) -> int:
        return self.id.dimension or 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--index", help="kind of faiss index; by default the rule's")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are made; by default a temporary folder")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument("--part", choices=("build", "search"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        found = build(given) if given.part == "build" else search(given)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        write(Path(folder) / "vectors.npy", given.count, given.dimension)
        figures: dict[str, Any] = {
            "count": given.count,
            "dimension": given.dimension,
            "hardware": hardware(),
            "load_before": os.getloadavg()[1],
            "date": datetime.now(UTC).date().isoformat(),
            "commit": commit(),
            "command": f"python benchmarks/{command()}",
        }
        for part in ("build", "search"):
            figures |= run_part(part, given, Path(folder))
            print(json.dumps(figures, indent=1), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def run_part(part: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A part in a process of its own, so that its memory is its own."""
    words = ["--part", part, "--folder", folder, "--queries", given.queries, "--rounds", given.rounds]
    words += ["--count", given.count, "--dimension", given.dimension]
    words += ["--index", given.index] if given.index else []
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, *map(str, words)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | one_thread)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def write(file: Path, count: int, dimension: int) -> None:
    fingerprint = base64.b64encode(np.eye(1, dimension, dtype="<f4").tobytes()).decode()
    pixels = Preprocessing(224, 0.875, "bilinear")
    identity = EncoderId("made-up", "resnet50", "0" * 64, None, dimension, pixels, fingerprint)
    parts = (
        Rows([f"{i:08}.jpg" for i in numbers], [f"{i:064x}" for i in numbers], [1] * len(numbers), vectors)
        for numbers, vectors in blocks(count, dimension)
    )
    write_vectors(file, About(identity, None, "onnx", file.parent, count), parts)


def blocks(count: int, dimension: int) -> Iterator[tuple[range, np.ndarray]]:
    for first in range(0, count, BLOCK):
        yield range(first, min(first + BLOCK, count)), make(min(BLOCK, count - first), dimension, seed=first)


def make(count: int, dimension: int, *, seed: int) -> np.ndarray:
    """(count, dimension) unit rows of the same clusters, whatever the seed; mean cosine of two about 0.6."""
    fixed, draw = np.random.default_rng(0), np.random.default_rng([1, seed])
    centres = fixed.normal(size=(CLUSTERS, DIRECTIONS)).astype(np.float32)
    spread = fixed.normal(size=(DIRECTIONS, dimension)).astype(np.float32) / DIRECTIONS**0.5
    common = np.abs(fixed.normal(size=dimension)).astype(np.float32) * 1.8
    points = centres[draw.integers(0, CLUSTERS, count)]
    points = points + 0.5 * draw.normal(size=(count, DIRECTIONS)).astype(np.float32)
    rows = points @ spread + common + 0.2 * draw.normal(size=(count, dimension)).astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def build(given: argparse.Namespace) -> dict[str, Any]:
    file = given.folder / "vectors.npy"
    encoder: Any = MadeUp(read_vectors(file).about.encoder)
    start_s = time.perf_counter()
    index = build_from_vectors(file, encoder, given.folder / "index", kind=given.index)
    seconds = time.perf_counter() - start_s
    files = {path.name: path.stat().st_size for path in sorted((given.folder / "index").iterdir())}
    return {"build_s": seconds, "peak_mb": peak_mb(), "search": index.describe_search(), "files": files}


def search(given: argparse.Namespace) -> dict[str, Any]:
    start_s = time.perf_counter()
    index = load(given.folder / "index")
    opening_ms = 1000 * (time.perf_counter() - start_s)
    vectors = read_vectors(given.folder / "vectors.npy").rows.vectors
    queries = make(given.queries, given.dimension, seed=given.count)  # of the same clusters, not in the index
    index.search(queries[:2], K, encoder=index.about.encoder)  # maps the file
    ours_s, alone_s, numpy_s, numpy_alone_s = [], [], [], []
    for _ in range(given.rounds):
        begin = time.perf_counter()
        found = index.search(queries, K, encoder=index.about.encoder)
        ours_s.append((time.perf_counter() - begin) / len(queries))
        begin = time.perf_counter()
        for query in queries[:50]:
            index.search(query[None], K, encoder=index.about.encoder)
        alone_s.append((time.perf_counter() - begin) / 50)
        begin = time.perf_counter()
        exact = compare_all(queries, vectors)
        numpy_s.append((time.perf_counter() - begin) / len(queries))
        begin = time.perf_counter()
        for query in queries[:3]:
            compare_all(query[None], vectors)
        numpy_alone_s.append((time.perf_counter() - begin) / 3)
    right = [len({match.item.id for match in row} & set(ids)) for row, ids in zip(found, exact.tolist())]
    times = {"ours": ours_s, "ours_alone": alone_s, "numpy": numpy_s, "numpy_alone": numpy_alone_s}
    best = {name: min(seconds) for name, seconds in times.items()}
    return {
        "opening_ms": opening_ms,
        "recall_at_10": float(np.mean(right)) / K,
        "queries_a_second": {name: 1 / seconds for name, seconds in best.items()},
        "ratio_to_numpy": best["numpy"] / best["ours"],
        "ratio_to_numpy_alone": best["numpy_alone"] / best["ours_alone"],
        "search_peak_mb": peak_mb(),
    }


def compare_all(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(Q, K) the rows of the largest inner products."""
    similarities = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for first in range(0, len(vectors), 50_000):
        block = queries @ vectors[first : first + 50_000].T
        few = np.argpartition(-block, min(K, block.shape[1]) - 1, axis=1)[:, :K]
        similarities = np.concatenate([similarities, np.take_along_axis(block, few, 1)], axis=1)
        rows = np.concatenate([rows, few + first], axis=1)
        keep = np.argsort(-similarities, axis=1)[:, :K]
        similarities, rows = np.take_along_axis(similarities, keep, 1), np.take_along_axis(rows, keep, 1)
    return rows


def peak_mb() -> float:
    """The largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
