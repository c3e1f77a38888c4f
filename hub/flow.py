"""The generator of learned views: an invertible change of each pixel's three colours.

Couplings change some channels by a small network of the others, pixel by pixel (1 x 1 convolutions), so they can be
undone exactly. "additive" couplings keep volumes (NICE); "affine" ones scale too and alternate with invertible 1 x 1
convolutions (RealNVP, Glow). Zero-initialised, the generator gives the colours themselves.

Source: Dinh et al. 2015 (arXiv:1410.8516), 2017 (arXiv:1605.08803); Kingma & Dhariwal 2018 (arXiv:1807.03039); which
couplings the InfoMin paper's non-volume-preserving rows used is not known to us. As in the author's private code, each
block changes one channel by the other two, in turn.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .errors import ArtifactError, UsageError
from .files.atomic import write_json
from .preprocessing import IMAGENET_MEAN, IMAGENET_STD

Coupling = Literal["additive", "affine"]
Space = Literal["RGB", "YDbDr"]
WEIGHTS, PLAN = "generator.safetensors", "generator.json"
_CHANNELS = 3
_YDBDR = ((0.299, 0.587, 0.114), (-0.45, -0.883, 1.333), (-1.333, 1.116, 0.217))
_YDBDR_MIDDLE, _YDBDR_SPREAD = (0.45, 0.0, 0.0), 0.25
_LARGEST_LOG = 1.0  # of a scale: a channel shrinks or grows by e at most in a block, so that the inverse stays exact


@dataclass(frozen=True)
class FlowPlan:
    """What a generator is made of; `space` is what its couplings are given, brought to about unit spread."""

    coupling: Coupling = "additive"
    space: Space = "RGB"
    blocks: int = 6
    hidden: int = 16

    def __post_init__(self) -> None:
        if self.coupling not in get_args(Coupling) or self.space not in get_args(Space):
            raise UsageError(
                f"A generator is {' or '.join(get_args(Coupling))}, of {' or '.join(get_args(Space))}; not "
                f"{self.coupling} of {self.space}."
            )


class Flow(nn.Module):
    """(N, 3, H, W) RGB, normalised by ImageNet's mean and deviation -> (N, 3, H, W), float32, and back."""

    colours: Tensor
    offset: Tensor

    def __init__(self, plan: FlowPlan):
        super().__init__()
        self.plan = plan
        colours, offset = _change_of_colours(plan.space)
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.blocks = nn.ModuleList(self._layers(plan))

    def forward(self, images: Tensor) -> Tensor:
        """The learned channels; the first is one view, the other two are the other."""
        images = _times(self.colours, images) + self.offset
        for block in self.blocks:
            images = block(images)
        return images

    def inverse(self, channels: Tensor) -> Tensor:
        """The colours from the learned channels."""
        for block in reversed(self.blocks):
            channels = block.inverse(channels)  # type: ignore[operator]
        return _times(_inverted(self.colours), channels - self.offset)

    @staticmethod
    def _layers(plan: FlowPlan) -> Iterator[nn.Module]:
        for number in range(plan.blocks):
            if plan.coupling == "affine":
                yield InvertibleMix()
            yield Couple(number % _CHANNELS, plan.hidden, is_affine=plan.coupling == "affine")


class Couple(nn.Module):
    """One channel is moved, and scaled if affine, by what the other two say."""

    def __init__(self, changed: int, hidden: int, *, is_affine: bool):
        super().__init__()
        self.changed, self.others = changed, [channel for channel in range(_CHANNELS) if channel != changed]
        last = nn.Conv2d(hidden, 2 if is_affine else 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.network = nn.Sequential(nn.Conv2d(2, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, hidden, 1), nn.ReLU(), last)

    def forward(self, images: Tensor) -> Tensor:
        move, log_scale = self._amounts(images)
        return self._with(images, images[:, self.changed : self.changed + 1] * log_scale.exp() + move)

    def inverse(self, channels: Tensor) -> Tensor:
        move, log_scale = self._amounts(channels)
        return self._with(channels, (channels[:, self.changed : self.changed + 1] - move) * (-log_scale).exp())

    def _amounts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        parts = images.split(1, dim=1)  # an index of a list would make a GPU wait
        others = torch.cat([parts[channel] for channel in self.others], dim=1)
        found = self.network(others.contiguous(memory_format=torch.channels_last))  # twice as fast on CPUs
        log_scale = _LARGEST_LOG * found[:, 1:].tanh() if found.shape[1] == 2 else torch.zeros_like(found)
        return found[:, :1], log_scale

    def _with(self, images: Tensor, channel: Tensor) -> Tensor:
        parts = list(images.split(1, dim=1))
        parts[self.changed] = channel
        return torch.cat(parts, dim=1)


class InvertibleMix(nn.Module):
    """A 3 x 3 matrix over the channels: a lower times an upper triangle with a bounded diagonal, identity at first."""

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper = (nn.Parameter(torch.zeros(_CHANNELS, _CHANNELS)) for _ in range(2))
        self.log_diagonal = nn.Parameter(torch.zeros(_CHANNELS))

    def forward(self, images: Tensor) -> Tensor:
        return _times(self._matrix(), images)

    def inverse(self, channels: Tensor) -> Tensor:
        return _times(_inverted(self._matrix()), channels)

    def _matrix(self) -> Tensor:
        diagonal = torch.diag((_LARGEST_LOG * self.log_diagonal.tanh()).exp())
        ones = torch.eye(_CHANNELS, device=self.lower.device)
        return (self.lower.tril(-1) + ones) @ (self.upper.triu(1) + diagonal)


def save_generator(flow: Flow, folder: Path) -> None:
    """Write the generator's two files into a folder."""
    save_file({name: tensor.contiguous() for name, tensor in flow.state_dict().items()}, folder / WEIGHTS)
    write_json(folder / PLAN, {"format": 1, **asdict(flow.plan)})


def load_generator(folder: Path) -> Flow:
    """Read what `save_generator` wrote.

    Raises:
        ArtifactError: it is not there, or is damaged.
    """
    try:
        content = json.loads((folder / PLAN).read_text("utf-8"))
        plan = FlowPlan(**{name: content[name] for name in ("coupling", "space", "blocks", "hidden")})
        flow = Flow(plan)
        flow.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{folder} holds no whole generator ({reason:.100}); give the RUN folder of `goodviews views learn`."
        ) from None
    return flow.eval()


def _change_of_colours(space: Space) -> tuple[Tensor, Tensor]:
    """The matrix (3, 3) and the offset (3, 1, 1) from normalised RGB."""
    if space == "RGB":
        return torch.eye(_CHANNELS), torch.zeros(_CHANNELS, 1, 1)
    mean, std = (torch.tensor(numbers, dtype=torch.float64) for numbers in (IMAGENET_MEAN, IMAGENET_STD))
    matrix = torch.tensor(_YDBDR, dtype=torch.float64)
    offset = (matrix @ mean - torch.tensor(_YDBDR_MIDDLE, dtype=torch.float64)) / _YDBDR_SPREAD
    return (matrix * std / _YDBDR_SPREAD).float(), offset.float()[:, None, None]


def _times(matrix: Tensor, images: Tensor) -> Tensor:
    pixels = matrix @ images.flatten(2)  # (N, K, H * W)
    return pixels.reshape(len(images), len(matrix), *images.shape[2:])


def _inverted(matrix: Tensor) -> Tensor:
    inverse: Tensor = torch.linalg.inv(matrix.double())
    return inverse.to(matrix.dtype)
