"""A memory of every image: a row of the data's bank for each, an average of what the network made of it lately."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..objective import step_seed


@dataclass(frozen=True)
class Drawn:
    """The bank as an objective is given it.

    banks: (M, n, D), unit rows: one bank for each kind of embedding, a row for each image of the data.
    places: (N, 1 + K): the rows that each image of this process is compared with; its own comes first.
    """

    banks: Tensor
    places: Tensor


class MemoryBank:
    """M banks of (n, D) unit rows, written M rows an image.

    Starts as random unit rows, as published. Equal in all processes, for it is drawn from the seed and every process
    writes the gathered embeddings.

    Source: Wu et al. 2018 (arXiv:1805.01978), section 3.1; HobbitLong/PyContrast, memory/mem_bank.py.
    """

    def __init__(
        self,
        images: int,
        dim: int,
        *,
        momentum: float,
        banks: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        rows = torch.randn(banks, images, dim, generator=torch.Generator().manual_seed(seed))
        self.rows = F.normalize(rows, dim=2).to(device)
        self.momentum = momentum

    def draw(self, samples: Tensor, negatives: int, *, seed: int, step: int, rank: int = 0, world: int = 1) -> Drawn:
        """The bank for (N,) images and their negatives, uniform over all images and with replacement.

        An image's own row and repeated rows may be among its negatives, as published. The numbers come from (seed,
        step) and are drawn for the whole batch, so they do not depend on the number of processes.
        """
        generator = torch.Generator(self.rows.device).manual_seed(step_seed(seed, step))
        own = samples.to(self.rows.device)
        size = (world * len(own), negatives)
        drawn = torch.randint(self.rows.shape[1], size, generator=generator, device=self.rows.device)
        mine = drawn[rank * len(own) : (rank + 1) * len(own)]
        return Drawn(self.rows, torch.cat([own[:, None], mine], dim=1))

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": self.rows}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was when `state` was taken."""
        self.rows.copy_(state["rows"])

    @torch.no_grad()
    def write(self, samples: Tensor, embeddings: Tensor) -> None:
        """row <- the unit vector along momentum * row + (1 - momentum) * embedding.

        Args:
            samples: (B,) images; of an image that occurs twice the last embedding counts.
            embeddings: (B, M * D), one unit row of D for each bank.
        """
        samples = samples.to(self.rows.device)
        images, place = samples.unique(return_inverse=True)
        order = torch.arange(len(samples), device=samples.device)
        last = torch.zeros_like(images).scatter_reduce(0, place, order, "amax", include_self=False)
        new = embeddings[last].to(self.rows).unflatten(1, (len(self.rows), -1)).transpose(0, 1)
        moved = self.rows[:, images] * self.momentum + new * (1 - self.momentum)
        self.rows[:, images] = F.normalize(moved, dim=2)
