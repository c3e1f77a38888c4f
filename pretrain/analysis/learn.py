"""Views that are learned: a generator and the encoders play against each other over what its two parts share.

In turn, a step of the encoders raises InfoNCE's bound of what the generator's first channel and the other two share;
then a step of the generator lowers it, semi-supervised together with the cross-entropy of a classifier on either part,
for photos with labels. Afterwards the generator is fixed, and new encoders learn from its parts as in CMC.

    unsupervised      min over g, max over f1, f2:  I_NCE(f1(g(x)_1), f2(g(x')_2,3))
    semi-supervised   min over g, c1, c2, max over f1, f2:  I_NCE + CE(c1(g(x)_1), y) + CE(c2(g(x)_2,3), y)

x and x' are two crops of a photo. Learning rates, betas and weights of one are those of the author's private code.

Source: Tian et al. 2020 (arXiv:2005.10243), section 5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...hub.errors import DataError
from ...hub.flow import Flow, FlowPlan
from ..models.losses import pair_contrast
from ..randomness import step_seed
from .colour_spaces import split_channels
from .pairs import aligned_crops, normalized, resized
from .photo_arrays import PhotoSet
from .small_network import SmallEncoder, build_pair_network
from .trainer import Batches, Diverged, finite

Mode = Literal["unsupervised", "semi-supervised"]
BETAS = (0.5, 0.999)
LARGEST_OUTPUT = 1e3  # of a generator whose input has unit spread; beyond, it runs away


@dataclass(frozen=True)
class Game:
    """How a generator is learned.

    labelled: photos with labels in a step; 0 without supervision.
    """

    mode: Mode
    steps: int
    px: int = 32
    batch_size: int = 128
    labelled: int = 64
    critic_lr: float = 2e-4
    generator_lr: float = 1e-3
    temperature: float = 0.07
    smallest_crop: float = 0.2
    dim: int = 64
    width: int = 16


@dataclass(frozen=True)
class GameStep:
    """A step's figures: what the parts share as the encoders see it, in nats, and the classifiers' loss."""

    step: int
    shared: float
    classify: float


@dataclass(frozen=True)
class LearnedSplit:
    """The parts of a fixed generator, of two crops of a photo, each with a network of its own."""

    flow: Flow
    px: int
    smallest_crop: float = 0.2

    channels = (1, 2)

    @torch.no_grad()
    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return crop_parts(self.flow, photos.images[rows], self.px, self.smallest_crop, generator)

    @torch.no_grad()
    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        return split_channels(self.flow(normalized(resized(images, self.px))), 0)


def crop_parts(
    flow: Flow, images: Tensor, px: int, smallest: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The first channel of one crop and the other two of another."""
    crops = [aligned_crops(images, px, smallest, generator) for _ in range(2)]
    first, second = (flow(normalized(crop)) for crop in crops)
    return split_channels(first, 0)[0], split_channels(second, 0)[1]


def learn_views(
    photos: PhotoSet,
    plan: FlowPlan,
    game: Game,
    *,
    classes: int = 0,
    seed: int = 0,
    observe: Callable[[GameStep], None] = lambda step: None,
) -> Flow:
    """The generator after the game.

    Args:
        photos: with the label "class" for semi-supervised learning; -1 where a photo has none.

    Raises:
        DataError: semi-supervised without labels of two classes.
        Diverged: a loss is NaN or infinite, or the generator runs away.
    """
    rows = _labelled_rows(photos, game)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = Flow(plan)
        judges = nn.ModuleList(_classifier(channels, game.width, classes) for channels in (1, 2)) if len(rows) else None
    critics = build_pair_network((1, 2), width=game.width, dim=game.dim, head="mlp", seed=seed).train()
    of_critics = torch.optim.Adam(critics.parameters(), lr=game.critic_lr, betas=BETAS)
    ours = chain(flow.parameters(), judges.parameters()) if judges is not None else flow.parameters()
    of_generator = torch.optim.Adam(ours, lr=game.generator_lr, betas=BETAS)
    batches = Batches(len(photos), game.batch_size, seed)
    for step in range(game.steps):
        generator = torch.Generator().manual_seed(step_seed(seed, step))
        images = photos.images[batches.rows(step)]
        parts = crop_parts(flow, images, game.px, game.smallest_crop, generator)
        _refuse_runaway(parts, step, game.steps)
        contrast = pair_contrast(*critics([part.detach() for part in parts]), temperature=game.temperature)
        _move(of_critics, contrast)
        shared = -pair_contrast(*critics(parts), temperature=game.temperature)
        classify = shared.new_zeros(())
        if judges is not None:
            chosen = rows[torch.randint(len(rows), (game.labelled,), generator=generator)]
            few = crop_parts(flow, photos.images[chosen], game.px, game.smallest_crop, generator)
            labels = photos.labels["class"][chosen]
            classify = torch.stack([F.cross_entropy(judge(part), labels) for judge, part in zip(judges, few)]).sum()
        finite(shared + classify, step, game.steps)
        _move(of_generator, shared + classify)
        nats = float(torch.tensor(len(images)).log()) + float(shared.detach())
        observe(GameStep(step, nats, float(classify.detach())))
    return flow.eval()


def _labelled_rows(photos: PhotoSet, game: Game) -> Tensor:
    """Which photos teach the classifiers; none without supervision."""
    if game.mode == "unsupervised":
        return torch.empty(0, dtype=torch.long)
    if "class" not in photos.labels:
        raise DataError(
            "Semi-supervised views need labels, and these photos have none; give one folder a class, or "
            "--mode unsupervised."
        )
    rows = (photos.labels["class"] >= 0).nonzero()[:, 0]
    if len(photos.labels["class"][rows].unique()) < 2:
        raise DataError(
            "Semi-supervised views need labels of two classes or more, and these photos have one; give one folder a "
            "class, or --mode unsupervised."
        )
    return rows


def _classifier(channels: int, width: int, classes: int) -> nn.Module:
    encoder = SmallEncoder(channels, width)
    return nn.Sequential(encoder, nn.Linear(encoder.num_features, classes))


def _move(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _refuse_runaway(parts: tuple[Tensor, ...], step: int, steps: int) -> None:
    largest = max(float(part.detach().abs().max()) for part in parts)
    if not largest < LARGEST_OUTPUT:
        raise Diverged(
            f"The generator's output reached {largest:.3g} at step {step + 1} of {steps}: it diverges. Give a smaller "
            "--generator-lr, or additive couplings."
        )
