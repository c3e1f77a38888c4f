"""How many images a second one core turns into the views of MoCo v2, InfoMin and CLSA: as published, and ours.

    python benchmarks/loader_speed.py [moco_v2_200 infomin_200 ...] [--images DIR] [--rounds 5] [--out speed.json]

Six ways through the same photos, in turns, on one thread, timed in CPU seconds of this process; each rate is the
median of the rounds and each ratio the median of the ratios within a round:

published          PIL and torchvision operations, one image at a time (published_infomin.py, published_clsa.py)
decode_crop        of that only decoding and the random resized crops: two, three and eleven of them
worker_share       ours, what a loader worker does when a GPU renders the views: decode, crop, draw the random numbers
all_on_cpu         ours, with the views' programs on the CPU as well
worker_share_fast  the worker's share with the extra "fast": plain JPEG files decoded by simplejpeg
all_on_cpu_fast    all of it with the extra "fast": programs compiled by Numba too

The last two are left out where the extra is not installed; those before them are as without it.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image
from published_clsa import published_views as clsa_multi
from published_infomin import published_views as infomin
from published_moco import published_views as moco
from torch import Tensor
from torchvision import transforms

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.hub.sources.files import Files
from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data import plain_jpeg
from goodviews.pretrain.data.decode import decoder
from goodviews.pretrain.data.portions import Portion
from goodviews.pretrain.data.worker import FromSource, Photos
from goodviews.pretrain.freed_memory import keep_freed_memory
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.views import compiled
from goodviews.pretrain.views.view import View

Way = Callable[[list[tuple[int, int]]], None]
PHOTOS = Path(__file__).parent.parent / "tests" / "photos"
PUBLISHED: dict[str, Callable[[], Callable[[Image.Image], Sequence[Tensor]]]] = {
    "moco_v2_200": moco,
    "infomin_200": infomin,
    "clsa_multi_200": clsa_multi,
}


def main() -> None:
    """Measure, print a table and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=[*PUBLISHED], help=f"of {', '.join(PUBLISHED)} (default: all)")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-round", type=int, default=64, help="images each way takes in a round")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    unknown = set(arguments.recipes) - set(PUBLISHED)
    if unknown:
        parser.error(f"{sorted(unknown)[0]} has no published pipeline here; choose of {', '.join(PUBLISHED)}")
    torch.set_num_threads(1)
    keep_freed_memory()  # as loader workers do
    source = open_folder(arguments.images)
    figures = {
        name: measure(name, source, rounds=arguments.rounds, per_round=arguments.per_round)
        for name in arguments.recipes
    }
    for recipe, measured in figures.items():
        print(recipe)
        for name, rate in measured["images_per_cpu_second"].items():
            print(f"  {name:18s}{rate:8.1f} images/s{measured['ratio_to_published'][name]:8.2f} x published")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        print(f"figures: {arguments.out}")


def measure(recipe: str, source: Files, *, rounds: int, per_round: int) -> dict:
    """Rates and ratios of all ways, and what they depend on."""
    ways = _ways(source, choose(recipe).views, PUBLISHED[recipe]())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        places = [divmod(turn * per_round + i, len(source)) for i in range(per_round)]
        for name, way in ways.items():
            begun = time.process_time()
            way(places)
            if turn:  # the first one warms up
                seconds[name].append(time.process_time() - begun)
    return {
        "images_per_cpu_second": {name: per_round / statistics.median(taken) for name, taken in seconds.items()},
        "ratio_to_published": {
            name: statistics.median(theirs / ours for theirs, ours in zip(seconds["published"], taken, strict=True))
            for name, taken in seconds.items()
        },
        "seconds": seconds,
        "rounds": rounds,
        "images_per_round": per_round,
        "source": source.describe(),
        "median_pixels": statistics.median(_pixels(source.path(i)) for i in range(len(source))),
        "decoder": decoder(),
        "hardware": hardware(),
        "commit": commit(),
    }


def _ways(source: Files, views: Sequence[View], published: Callable[[Image.Image], Sequence[Tensor]]) -> dict[str, Way]:
    """Each takes places, (epoch, sample): a photo that comes again is changed by other numbers, in every way."""
    random.seed(0)
    torch.manual_seed(0)
    crops = [transforms.RandomResizedCrop(view.crop.px, view.crop.scale) for view in views]

    def as_published(places: list[tuple[int, int]]) -> None:
        for _, sample in places:
            published(_plain_rgb(source.path(sample)))

    def decode_crop(places: list[tuple[int, int]]) -> None:
        for _, sample in places:
            photo = _plain_rgb(source.path(sample))
            for crop in crops:
                crop(photo)

    def worker_share(places: list[tuple[int, int]]) -> None:
        Photos(FromSource(source), views, 0, renders=False)[Portion(places)]

    def all_on_cpu(places: list[tuple[int, int]]) -> None:
        Photos(FromSource(source), views, 0, renders=True)[Portion(places)]

    is_fast = compiled.is_installed() and plain_jpeg.version() is not None
    return {
        "published": as_published,
        "decode_crop": decode_crop,
        "worker_share": _without_fast(worker_share),
        "all_on_cpu": _without_fast(all_on_cpu),
        **({"worker_share_fast": worker_share, "all_on_cpu_fast": all_on_cpu} if is_fast else {}),
    }


def _without_fast(way: Way) -> Way:
    """As where the extra "fast" is not installed."""

    def without(places: list[tuple[int, int]]) -> None:
        with (
            patch.object(compiled, "is_installed", return_value=False),
            patch.object(plain_jpeg, "_simplejpeg", return_value=None),
        ):
            way(places)

    return without


def _pixels(path: Path) -> int:
    with Image.open(path) as photo:
        return photo.width * photo.height


def _plain_rgb(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return photo.convert("RGB")


if __name__ == "__main__":
    main()
