"""Algorithms that repeat themselves bit for bit on a GPU, where its usual ones add in any order."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic_algorithms(is_wanted: bool) -> Iterator[None]:
    """Within this block torch takes only such algorithms, if wanted; it warns of an operation that has none.

    cuBLAS reads its setting from the environment when it is first used in a process; one that is there stays.
    """
    if not is_wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
