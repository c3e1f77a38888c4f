"""SwAV's prototypes: learned by gradient, put back to length one after each step, still at first."""

from dataclasses import dataclass

from .memory import Context, Memory, Update
from .networks import PrototypeNetwork


@dataclass(frozen=True)
class Prototypes:
    """Unit vectors, learned by gradient and put back to length one after each step, to which images are assigned.

    They are part of the network (`PrototypeNetwork`), and so of its weights in a checkpoint.

    frozen_epochs: they do not move for so many.
    """

    count: int = 3000
    frozen_epochs: int = 1

    def build(self, context: Context) -> "UnitPrototypes":
        assert isinstance(context.network, PrototypeNetwork), "it was built by the same recipe"
        return UnitPrototypes(context.network, self.frozen_epochs)


class UnitPrototypes(Memory):
    """Keeps a network's prototypes at length one, and where they are for the first epochs."""

    def __init__(self, network: PrototypeNetwork, frozen_epochs: int):
        self.network, self.frozen_epochs = network, frozen_epochs

    def before_update(self, epoch: float) -> None:
        if epoch < self.frozen_epochs:
            self.network.prototypes.weight.grad = None

    def after_update(self, update: Update) -> None:
        self.network.normalize_prototypes()
