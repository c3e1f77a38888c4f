"""faiss on one thread, and only where it is needed. The only place that imports faiss."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...hub.errors import MissingExtra


@contextmanager
def one_thread() -> Iterator[Any]:
    """faiss on one thread while the block runs.

    After a search on several threads a forked child (a data loader's worker) hangs in its own first search. The number
    is put back, since faiss may share it with torch.
    """
    if sys.platform == "darwin":  # torch and faiss both bring libomp, which aborts otherwise
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    try:
        import faiss
    except ModuleNotFoundError:
        raise MissingExtra("faiss", extra="retrieval", needed_for="An image index") from None
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(threads)
