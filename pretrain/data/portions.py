"""A step's images in portions, so that several loader workers make one batch, and the first one soon.

Nothing of a batch depends on how it was cut. Views that are rendered already are large: to put them together costs the
main process a tenth of what rendering them took. So only the first step of those comes in portions.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .places import Place

PORTION = 32  # images at most that a worker makes at once


class Portion(NamedTuple):
    """What a worker reads at once.

    Args:
        places: its images.
        step: all images of the step, where this worker also plans how a device renders them; else none.
        is_last: of the step.
    """

    places: Sequence[Place]
    step: Sequence[Place] = ()
    is_last: bool = True


class Portions:
    """The portions of all steps, one after another, the planning shared out among the workers.

    Args:
        workers: who take portions in turns. Where there are not several, a step is one portion.
        is_rendered: what they hand over is large, see above.
    """

    def __init__(self, steps: Iterable[list[Place]], workers: int, *, is_rendered: bool = False):
        self.steps, self.workers, self.is_rendered = steps, workers, is_rendered

    def __iter__(self) -> Iterator[Portion]:
        planned = np.zeros(max(1, self.workers), dtype=np.int64)  # steps by each worker
        first = 0  # whose turn it is
        for number, step in enumerate(self.steps):
            count = count_portions(len(step), self.workers, is_rendered=self.is_rendered and number > 0)
            parts = np.array_split(np.arange(len(step)), count)
            turns = (first + np.arange(count)) % len(planned)
            planner = int(planned[turns].argmin())
            planned[turns[planner]] += 1
            first += count
            for i, part in enumerate(parts):
                yield Portion([step[place] for place in part], step if i == planner else (), i == count - 1)


def count_portions(images: int, workers: int, *, is_rendered: bool) -> int:
    """In how many portions steps of so many images come, but for the first; they differ by one image at most."""
    return 1 if workers < 2 or is_rendered else -(-images // PORTION)
