"""Which faiss index suits how many vectors, by a rule; or the one that a user names.

Up to 50 million numbers nothing is faster than comparing all of them, in at most 15 ms. Beyond, vectors are sorted
into c cells of which a search looks into a few: c is a power of two near 4 * sqrt(n), with 39 vectors or more to learn
each from. Up to 256 dimensions the cells hold the vectors themselves; wider ones are rotated to their 128 main
directions and held in a byte a number, and the best candidates are compared in 16 bits again. Distances are L2 between
unit vectors: PCA subtracts the mean, after which inner products are no cosines any more.
"""

from ...hub.errors import UsageError
from .faiss_library import one_thread

FLAT = "Flat"
FLAT_NUMBERS = 50_000_000
WIDE = 256  # dimensions; beyond, a search in whole vectors is limited by memory
PCA = 128
LEAST_PER_CELL = 39  # faiss's own bound, below which cells are learned badly
MEMORY_SHARE = 0.6  # of what is free: what a build may take


def choose_kind(count: int, dimension: int, *, free_bytes: int) -> str:
    """The kind of index for so many unit vectors, as faiss's factory writes it; "Flat" for an exact search.

    Args:
        free_bytes: memory that a build may share with others; with little, candidates are compared again on the disk.
    """
    if count * dimension <= FLAT_NUMBERS:
        return FLAT
    cells = cells_for(count)
    room = MEMORY_SHARE * free_bytes
    if dimension <= WIDE:
        return f"IVF{cells},Flat" if 4 * count * dimension <= room else f"IVF{cells},SQ8"
    main = f"PCA{PCA},IVF{cells},SQ8"
    # twice: a growing list is copied once when it is full
    return f"{main},Refine(SQfp16)" if 2 * count * dimension + count * PCA <= room else main


def cells_for(count: int) -> int:
    """A power of two near 4 * sqrt(count), each with enough vectors to learn it from."""
    wanted = 4 * count**0.5
    cells = 1
    while abs(2 * cells - wanted) < abs(cells - wanted) and 2 * cells * LEAST_PER_CELL <= count:
        cells *= 2
    return cells


def check_kind(kind: str, dimension: int) -> str:
    """A kind that a user names.

    Raises:
        UsageError: faiss knows no such index, or it would keep ids of its own.
    """
    if kind == FLAT:
        return kind
    if "IDMap" in kind:
        raise UsageError(
            f"--index {kind} keeps ids of its own, which some faiss indexes mix up after a removal; "
            f"leave IDMap out, goodviews keeps the ids."
        )
    with one_thread() as faiss:
        try:
            faiss.index_factory(dimension, kind, faiss.METRIC_L2)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[-1][:120]
            raise UsageError(
                f"--index {kind} is no faiss index for {dimension} dimensions ({reason}); "
                f"write it as in IVF4096,Flat or leave it out."
            ) from None
    return kind
