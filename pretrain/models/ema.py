"""The EMA copy of the trained network: its weights follow by an exponential moving average, its outputs are the keys.

`KeyNetwork` is momentum contrast's, `Target` is BYOL's; they differ in how keys are made and in the momentum.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...hub.schedules import cosine
from .across_processes import ALONE, Processes
from .full_precision import widen
from .ghost_batch_norm import normalize_in_groups, split_into_groups
from .memory import Context, Memory, State, Update
from .networks import ContrastiveNetwork, PrototypeNetwork, TwoBranchNetwork

EmaNetwork = ContrastiveNetwork | TwoBranchNetwork
Autocast = Callable[[], AbstractContextManager[object]]
_CACHED_PX = 64  # measured with groups of 32: all at once took .9 of the time at 64 px, 1.2 at 128 px
_SAME_FROM = 32  # images; found equal bit by bit from here on


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


@dataclass(frozen=True)
class KeyNetwork:
    """An EMA copy that makes the keys of momentum contrast, by shuffled batch norm.

    momentum: share of its old weights that stays at a step.
    group: images whose keys share batch-norm statistics. The published runs have 32, a GPU's share of 256; on one
        device splitting the shuffled batch into such groups takes the place of shuffling between devices.

    Source: He et al. 2020 (arXiv:1911.05722), section 3.2, 3.3; HobbitLong/PyContrast, learning/contrast_trainer.py.
    """

    momentum: float = 0.999
    group: int = 32

    def build(self, context: Context) -> "EmaPair":
        return _pair(self, context)

    def prepare(self, network: EmaNetwork) -> None:
        """Have each group's statistics for itself."""
        normalize_in_groups(network, self.group)

    def momentum_at(self, done: float) -> float:
        """The same all through the run."""
        return self.momentum

    def keys(
        self, network: EmaNetwork, images: Tensor, order: Tensor, processes: Processes, autocast: Autocast
    ) -> Keys:
        """Keys of (N, 3, H, W) images by shuffled batch norm.

        The images of all processes are gathered, put into `order` (B,), each process encodes its slice, in groups with
        batch-norm statistics of their own, and the keys are gathered and put back. So no key shares its statistics with
        the images its query shared them with, and the network cannot recognise a pair by them.
        """
        everyone = gather_images(images, network, processes, autocast)
        share, first = len(images), processes.rank * len(images)
        order = order.to(everyone.device, non_blocking=True)
        mine = everyone[order[first : first + share]]
        with autocast():
            encoded = torch.cat([network.embed(part) for part in self._at_once(mine)])
        shuffled = processes.gather(widen(encoded))
        restored = torch.empty_like(shuffled)
        restored[order] = shuffled
        return Keys(restored[first : first + share], restored, first)

    def _at_once(self, images: Tensor) -> Sequence[Tensor]:
        """All groups; but on a CPU, whose cache holds no more of large images, group after group.

        Small groups too: for these a CPU's convolutions differ in rounding from those of the whole batch.
        """
        is_small = max(images.shape[-2:]) <= _CACHED_PX and self.group >= _SAME_FROM
        if images.device.type != "cpu" or is_small:
            return [images]
        return split_into_groups(images, self.group)


def gather_images(images: Tensor, network: EmaNetwork, processes: Processes, autocast: Autocast) -> Tensor:
    """The images of all processes, in half precision where the first convolution would make them so anyhow.

    Half the bytes between GPUs, and the same keys bit for bit. Two branches change colours in float32 first.
    """
    with autocast():
        is_half = torch.is_autocast_enabled(images.device.type) and not isinstance(network, TwoBranchNetwork)
        half = torch.get_autocast_dtype(images.device.type)
    return processes.gather(images.to(half) if is_half and processes.world > 1 else images)


@dataclass(frozen=True)
class Target:
    """An EMA copy that is the target of a prediction; its momentum climbs from `momentum` to 1 (see momentum_ramp)."""

    momentum: float = 0.996

    def build(self, context: Context) -> "EmaPair":
        return _pair(self, context)

    def prepare(self, network: EmaNetwork) -> None:
        """Nothing: statistics are of the whole batch."""

    def momentum_at(self, done: float) -> float:
        """Of the step before which `done`, 0-1, of the run is over."""
        return momentum_ramp(self.momentum, done)

    def keys(
        self, network: EmaNetwork, images: Tensor, order: Tensor, processes: Processes, autocast: Autocast
    ) -> Keys:
        """Keys of (N, 3, H, W) images with the batch statistics of all of them; `order` is ignored."""
        with autocast():
            own = widen(network.embed(images))
        return Keys(own, processes.gather(own), processes.rank * len(images))


def momentum_ramp(start: float, done: float) -> float:
    """The EMA momentum, on half a cosine from `start` to 1, when `done`, 0-1, of the run is over.

    Source: Grill et al. 2020 (arXiv:2006.07733), section 3.1: 1 - (1 - start) (cos(pi k / K) + 1) / 2.
    """
    return cosine(start, 1.0, done)


class EmaPair(Memory):
    """The query network, which is trained, and the EMA copy of it, which makes the keys.

    The copy holds backbone and projection head only: PyContrast also averages a jigsaw head in it that nothing reads.
    Its batch norms work with batch statistics (training mode), all else is in evaluation mode; its running statistics
    are its own, never copied from the query network, and are not used.
    """

    def __init__(
        self,
        query: EmaNetwork,
        plan: KeyNetwork | Target,
        *,
        processes: Processes = ALONE,
        autocast: Autocast = nullcontext,
    ):
        self.query, self.plan, self.processes, self.autocast = query, plan, processes, autocast
        self.key = query.ema_copy().requires_grad_(False).eval()
        for module in self.key.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        plan.prepare(self.key)

    @torch.no_grad()
    def keys(self, images: Tensor, order: Tensor) -> Keys:
        """Keys of (N, 3, H, W) images, as the plan says; `order` is `Orders.keys`."""
        return self.plan.keys(self.key, images, order, self.processes, self.autocast)

    @torch.no_grad()
    def update(self, momentum: float) -> None:
        """key <- momentum * key + (1 - momentum) * query, for parameters; buffers stay the key network's own."""
        fast = dict(self.query.named_parameters())
        names = [name for name, _ in self.key.named_parameters()]
        slow: list[Tensor] = [parameter for _, parameter in self.key.named_parameters()]
        torch._foreach_lerp_(slow, [fast[name].detach() for name in names], 1 - momentum)

    def after_update(self, update: Update) -> None:
        self.update(self.plan.momentum_at(update.done))

    def state(self) -> State:
        return self.key.state_dict()

    def restore(self, state: State) -> None:
        self.key.load_state_dict(state, strict=True)

    def inherit(self, state: State | None) -> None:
        self.restore(state or {})


def _pair(plan: KeyNetwork | Target, context: Context) -> EmaPair:
    assert not isinstance(context.network, PrototypeNetwork), "the recipe's checks refuse it"
    return EmaPair(context.network, plan, processes=context.processes, autocast=context.autocast)
