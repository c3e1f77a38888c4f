"""Advice at the start of a run: what is allowed but unwise, and what would do better."""

import logging
from collections.abc import Iterator

from ...hub.sources.source import Source
from ..data.memory_budget import advise_decoding_once
from ..models.clusters import Clusters
from ..models.memory_bank import Bank
from ..models.queue import Queue
from ..models.schedules import warmup_epochs
from ..options import Options
from ..recipe import Recipe

log = logging.getLogger(__name__)

FEW_PHOTOS = 3000  # the smallest data on which a result of ours beats the untrained network has 5,000


def advise(recipe: Recipe, options: Options, source: Source) -> None:
    """Log all of it."""
    for sentence in (
        *_about_photos(options, len(source)),
        *_about_memories(recipe, len(source)),
        *_about_climb(recipe),
    ):
        log.warning(sentence)
    advice = advise_decoding_once(source, recipe.epochs) if options.keep == "no" else None
    if advice:
        log.info(advice)
    if options.accumulate > 1:
        log.info(
            "each batch of %d goes through in %d parts: batch norm, and whatever an objective compares within a batch, "
            "sees %d images at a time",
            recipe.batch_size,
            options.accumulate,
            recipe.batch_size // options.accumulate,
        )


def _about_photos(options: Options, images: int) -> Iterator[str]:
    if images < FEW_PHOTOS and options.init is None and options.continue_from is None:
        yield (
            f"{images} photos are few to start from random weights, and the encoder may end no better than an "
            "untrained one; compare it with random:ARCHITECTURE, or start from an encoder: --init (goodviews recipes)"
        )


def _about_memories(recipe: Recipe, images: int) -> Iterator[str]:
    memory, prototypes = recipe.memory, recipe.prototypes
    if isinstance(memory, Queue) and memory.size >= images:
        yield (
            f"the queue ({memory.size} keys) is not smaller than the data ({images} images): images meet their own old "
            "keys as negatives"
        )
    if isinstance(memory, Bank) and memory.negatives >= images:
        yield (
            f"{memory.negatives} negatives are drawn of {images} images: an image meets itself and others several "
            f"times over; --set memory.negatives={images // 2} would do"
        )
    if isinstance(prototypes, Clusters) and prototypes.from_epoch >= recipe.epochs:
        yield (
            f"clusters are made from epoch {prototypes.from_epoch} on, but the run ends after {recipe.epochs}: it is "
            f"plain momentum contrast; --set prototypes.from_epoch={recipe.epochs // 10} would do"
        )


def _about_climb(recipe: Recipe) -> Iterator[str]:
    climb = warmup_epochs(recipe.schedule, batch_size=recipe.batch_size, epochs=recipe.epochs)
    if climb >= recipe.epochs:
        yield (
            f"the learning rate climbs for {climb} epochs and the run has {recipe.epochs}: it never reaches its height "
            "and comes down; well enough for a trial, for more give --epochs"
        )
