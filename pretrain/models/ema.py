"""What remembers in momentum contrast: a slow copy of the query network, and a queue of its keys."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import ContrastiveNetwork, TwoBranchNetwork

Gather = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Keys:
    """The keys of one step.

    own: (N, D) those of this process's images, in their order.
    everyone: (B, D) those of all processes.
    first: where in `everyone` this process's keys begin.
    """

    own: Tensor
    everyone: Tensor
    first: int = 0


class MomentumPair:
    """The query network and the slow copy of it that makes the keys.

    The copy holds backbone and projection head only: PyContrast also averages a jigsaw head in it that nothing reads.
    Its batch norms work with batch statistics (training mode), all else is in evaluation mode; its running statistics
    are its own, never copied from the query network, and are not used.

    Args:
        query: the network that is trained.
        momentum: share of the old weight that stays at an update.
        group: images whose keys share batch-norm statistics. The published runs have 32, a GPU's share of 256; on one
            device splitting the shuffled batch into such groups takes the place of shuffling between devices.

    Source: He et al. 2020 (arXiv:1911.05722), section 3.2, 3.3; HobbitLong/PyContrast, learning/contrast_trainer.py.
    """

    def __init__(self, query: ContrastiveNetwork | TwoBranchNetwork, *, momentum: float, group: int):
        self.query, self.momentum, self.group = query, momentum, group
        self.key = query.slow_copy().requires_grad_(False).eval()
        for module in self.key.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()

    @torch.no_grad()
    def keys(
        self,
        images: Tensor,
        order: Tensor,
        *,
        rank: int = 0,
        gather: Gather = lambda tensor: tensor,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
    ) -> Keys:
        """Keys of (N, 3, H, W) images by shuffled batch norm.

        The images of all processes are gathered, put into `order` (B,), each process encodes its slice in groups, and
        the keys are gathered and put back. So no key shares its batch-norm statistics with the images its query
        shared them with, and the network cannot recognise a pair by them.
        """
        everyone = gather(images)
        share, first = len(images), rank * len(images)
        order = order.to(everyone.device)
        mine = everyone[order[first : first + share]]
        groups = mine.tensor_split(max(1, share // self.group))  # of `group` images or some more, never of one
        with autocast():
            encoded = torch.cat([self.key.embed(group) for group in groups])
        shuffled = gather(encoded.float())
        restored = torch.empty_like(shuffled)
        restored[order] = shuffled
        return Keys(restored[first : first + share], restored, first)

    @torch.no_grad()
    def targets(
        self,
        images: Tensor,
        order: Tensor | None = None,
        *,
        rank: int = 0,
        gather: Gather = lambda tensor: tensor,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
    ) -> Keys:
        """Keys of (N, 3, H, W) images with the batch statistics of all of them; `order` is not heeded."""
        with autocast():
            own = self.key.embed(images)
        return Keys(own.float(), gather(own.float()), rank * len(images))

    @torch.no_grad()
    def update(self, momentum: float | None = None) -> None:
        """key <- momentum * key + (1 - momentum) * query, for parameters; buffers stay the key network's own.

        Args:
            momentum: of this step, where it is not the same in all.
        """
        fast = dict(self.query.named_parameters())
        names = [name for name, _ in self.key.named_parameters()]
        slow: list[Tensor] = [parameter for _, parameter in self.key.named_parameters()]
        stays = self.momentum if momentum is None else momentum
        torch._foreach_lerp_(slow, [fast[name].detach() for name in names], 1 - stays)


class KeyQueue:
    """The last K keys, oldest overwritten first; K need not be a multiple of the batch.

    A row holds one key of `dim` numbers or, of methods that make several of an image, `parts` of them side by side.
    Starts as random unit rows, as published. Equal in all processes, since it is drawn from the seed and every process
    enqueues the gathered keys.

    Source: He et al. 2020 (arXiv:1911.05722), section 3.1; HobbitLong/PyContrast, memory/mem_moco.py.
    """

    def __init__(self, size: int, dim: int, *, parts: int = 1, seed: int = 0, device: torch.device | str = "cpu"):
        rows = torch.randn(size, dim * parts, generator=torch.Generator().manual_seed(seed))
        self.rows = F.normalize(rows.unflatten(1, (parts, dim)), dim=2).flatten(1).to(device)
        self.pointer = 0

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": self.rows, "pointer": self.pointer}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was when `state` was taken."""
        self.rows.copy_(state["rows"])
        self.pointer = state["pointer"]

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write (B, D) keys at the pointer, wrapping round; of more keys than rows only the last K stay."""
        places = (torch.arange(len(keys), device=self.rows.device) + self.pointer) % len(self.rows)
        self.pointer = (self.pointer + len(keys)) % len(self.rows)
        kept = slice(max(0, len(keys) - len(self.rows)), None)
        self.rows[places[kept]] = keys[kept].to(self.rows)
