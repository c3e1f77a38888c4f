"""How fast the k nearest of cached features are found, against faiss's exact search on the same vectors and threads.

    python benchmarks/knn_speed.py --rows 1000000 --queries 1000 --threads 1

The bank of 1M x 2048 takes 8 GB, and faiss keeps a copy of its own: --rows 100000 needs 2 GB and shows the same ratio.
Both find cosine neighbours of float32 vectors; that they find the same ones is checked. faiss's time includes making
unit rows of the queries, not of the bank (its copy is made from unit rows); ours divides by the bank's lengths.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import faiss
import torch
import torch.nn.functional as F

from goodviews.hub.reports.provenance import hardware, libraries
from goodviews.hub.scoring.knn import nearest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    bank, query = features(options.rows, options.dimension, 0), features(options.queries, options.dimension, 1)
    index = faiss.IndexFlatIP(options.dimension)
    for block in bank.split(65_536):
        index.add(F.normalize(block, dim=1).numpy())
    competitors: dict[str, Callable[[], torch.Tensor]] = {
        "goodviews": lambda: nearest(query, bank, k=options.k)[0],
        "faiss": lambda: torch.from_numpy(index.search(F.normalize(query, dim=1).numpy(), options.k)[0]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(options.rounds):
        found = {}
        for name, search in competitors.items():
            begin = time.perf_counter()
            found[name] = search()
            seconds[name].append(time.perf_counter() - begin)
        torch.testing.assert_close(found["goodviews"], found["faiss"], atol=1e-5, rtol=1e-4)
    report(options, seconds)


def report(options: argparse.Namespace, seconds: dict[str, list[float]]) -> None:
    libs = libraries()
    print(f"{options.queries} queries, {options.rows} x {options.dimension}, k {options.k}, {options.threads} threads")
    print(
        f"{hardware()}, torch {libs['torch']}, faiss {libs['faiss-cpu']}; median of {options.rounds} rounds in turn\n"
    )
    for name, taken in seconds.items():
        print(f"{name:10} {median(taken):8.2f} s  {options.queries / median(taken):8.1f} queries/s")
    ratio = median(ours / theirs for ours, theirs in zip(seconds["goodviews"], seconds["faiss"]))
    print(f"\ngoodviews takes {ratio:.2f} times as long as faiss's exact search")


def features(rows: int, dimension: int, seed: int) -> torch.Tensor:
    """Rows as a ReLU network pools them: not negative, of differing length."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.empty(rows, dimension)
    for block in made.split(65_536):
        block.normal_(generator=generator).abs_()
    return made


if __name__ == "__main__":
    main()
