"""Random numbers that belong to a place in a training, such as an epoch or a photo, not to whoever draws them first.

Each comes from (seed, stream, place) through NumPy's SeedSequence, so any batch can be made without those before it: a
stopped training continues with the same numbers, with any number of workers.

Pretraining derives its numbers in two other ways (Philox counters for views, splitmix64 for steps). The three cannot
become one without changing the results of every recipe or task.
"""

import numpy as np

ORDER, SAMPLE, STEP = 0, 1, 2  # streams: of the order of photos, of changes to a photo, of what torch draws in a step


def generator(seed: int, stream: int, *place: int) -> np.random.Generator:
    """Draws for one place."""
    return np.random.default_rng((seed, stream, *place))


def torch_seed(seed: int, stream: int, *place: int) -> int:
    """For torch.manual_seed: 32 bits, unrelated between neighbouring places."""
    return int(np.random.SeedSequence((seed, stream, *place)).generate_state(1)[0])
