"""Which images each step shows to one process, epoch after epoch without an end, so that workers never run dry."""

from collections.abc import Iterator

from ..randomness import epoch_order

Place = tuple[int, int]  # epoch, sample


class Places:
    """The batches of one process from (`epoch`, `step`) on, each a list of (epoch, sample).

    Args:
        samples: in the data.
        batch_size: over all `world` processes; process `rank` gets its consecutive share of each.
        epochs: in a run; nothing is shown after them. None for no end.
    """

    def __init__(self, samples: int, batch_size: int, seed: int, rank: int, world: int, epochs: int | None = None):
        self.samples, self.batch_size, self.seed, self.rank, self.world = samples, batch_size, seed, rank, world
        self.epochs = epochs
        self.epoch = self.step = 0

    @property
    def steps_per_epoch(self) -> int:
        """An incomplete last batch is left out."""
        return self.samples // self.batch_size

    def after(self, epoch: int, step: int) -> tuple[int, int]:
        """Epoch and step of the batch that follows."""
        return (epoch, step + 1) if step + 1 < self.steps_per_epoch else (epoch + 1, 0)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch, step = self.epoch, self.step
        while self.epochs is None or epoch < max(self.epochs, self.epoch + 1):
            yield from self._of_epoch(epoch, step)
            epoch, step = epoch + 1, 0

    def _of_epoch(self, epoch: int, step: int) -> Iterator[list[Place]]:
        order, share = epoch_order(self.seed, epoch, self.samples), self.batch_size // self.world
        for number in range(step, self.steps_per_epoch):
            first = number * self.batch_size + self.rank * share
            yield [(epoch, int(sample)) for sample in order[first : first + share]]
