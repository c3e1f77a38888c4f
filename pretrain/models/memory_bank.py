"""A memory of every image: a row of the data's bank for each, an average of what the network made of it lately."""

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..randomness import step_seed
from .memory import Context, Memory, Part, State, Update

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bank:
    """A row for every image of the data.

    negatives: rows drawn anew for each image and step, from all of them, with replacement.
    momentum: share of an image's old row that stays when it is seen.
    banks: how many, of methods that make several embeddings of an image.
    """

    negatives: int = 65536
    momentum: float = 0.5
    banks: int = 1

    def build(self, context: Context) -> "MemoryBank":
        return MemoryBank(context.images, context.dim, self, seed=context.seed, device=context.device)


@dataclass(frozen=True)
class BankRows:
    """What the bank tells an objective.

    banks: (M, n, D), unit rows: one bank for each kind of embedding, a row for each image of the data.
    places: (N, 1 + K): the rows that each image of this process is compared with; its own comes first.
    """

    banks: Tensor
    places: Tensor


class MemoryBank(Memory):
    """M banks of (n, D) unit rows, written M rows an image.

    Starts as random unit rows, as published. Equal in all processes, for it is drawn from the seed and every process
    writes the gathered embeddings.

    Source: Wu et al. 2018 (arXiv:1805.01978), section 3.1; HobbitLong/PyContrast, memory/mem_bank.py.
    """

    def __init__(
        self,
        images: int,
        dim: int,
        plan: Bank,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        rows = torch.randn(plan.banks, images, dim, generator=torch.Generator().manual_seed(seed))
        self.rows = F.normalize(rows, dim=2).to(device)
        self.plan = plan

    def known(self, part: Part) -> BankRows:
        """The bank for a part's images and their negatives, uniform over all images and with replacement.

        An image's own row and repeated rows may be among its negatives, as published. The numbers come from (seed,
        number) and are drawn for the whole batch, so they do not depend on the number of processes.
        """
        generator = torch.Generator(self.rows.device).manual_seed(step_seed(part.seed, part.number))
        own, rank = part.samples.to(self.rows.device, non_blocking=True), part.processes.rank
        size = (part.processes.world * len(own), self.plan.negatives)
        indices = torch.randint(self.rows.shape[1], size, generator=generator, device=self.rows.device)
        mine = indices[rank * len(own) : (rank + 1) * len(own)]
        return BankRows(self.rows, torch.cat([own[:, None], mine], dim=1))

    def after_update(self, update: Update) -> None:
        if update.keys is not None:
            self.write(torch.cat([part.samples_of_all() for part in update.parts]), update.keys)

    @torch.no_grad()
    def write(self, samples: Tensor, embeddings: Tensor) -> None:
        """row <- the unit vector along momentum * row + (1 - momentum) * embedding.

        Args:
            samples: (B,) images; of an image that occurs twice the last embedding counts.
            embeddings: (B, M * D), one unit row of D for each bank.
        """
        samples = samples.to(self.rows.device, non_blocking=True)
        same = samples[:, None] == samples
        last = (same * torch.arange(len(samples), device=samples.device)).amax(dim=1)
        new = embeddings[last].to(self.rows).unflatten(1, (len(self.rows), -1)).transpose(0, 1)
        moved = self.rows[:, samples] * self.plan.momentum + new * (1 - self.plan.momentum)
        self.rows[:, samples] = F.normalize(moved, dim=2)

    def state(self) -> State:
        return {"rows": self.rows}

    def restore(self, state: State) -> None:
        self.rows.copy_(state["rows"])

    def inherit(self, state: State | None) -> None:
        if state is None or state["rows"].shape != self.rows.shape:
            log.info("the memory bank of the earlier run is of another size; this one starts anew")
            return
        log.info("rows of the memory bank are taken over by position: continue with the same images, or they mislead")
        self.restore(state)
