"""How much faster an epoch of a linear probe is on cached features than on features computed anew for fresh crops.

    python benchmarks/linear_probe_speed.py --encoder random:resnet50 --images 256 --threads 1

Both probes are the library's, run in turn on the same images. Computing the cache once is timed too. Speeds depend on
the machine; the ratio grows with the encoder.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from goodviews.hub import Encoder, from_pretrained
from goodviews.hub.reports.provenance import hardware, libraries
from goodviews.transfer.classification.cached_probe import CachedProbe, train_epoch
from goodviews.transfer.classification.sgd_probe import linear_moco, new_layer, train_layer
from goodviews.transfer.classification.shared_encoding import encode_epoch
from goodviews.transfer.classification.training_images import TrainingImages, crop_and_flip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="random:resnet50")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder = from_pretrained(options.encoder)
    labels = torch.arange(options.images) % options.classes
    with tempfile.TemporaryDirectory() as folder:
        paths = photos(Path(folder), options.images)
        begin = time.perf_counter()
        vectors = torch.from_numpy(encoder.encode(paths, normalise=False, batch_size=options.batch_size))
        cache_s = time.perf_counter() - begin
        fresh_s, cached_s = [], []
        for epoch in range(options.rounds):
            fresh_s.append(fresh_epoch(encoder, paths, labels, options, epoch))
            cached_s.append(cached_epoch(vectors, labels, options, epoch))
    libs = libraries()
    print(
        f"{encoder.architecture}, {options.images} images, {options.classes} classes, batches of {options.batch_size}"
    )
    print(
        f"{options.threads} threads, {hardware()}, torch {libs['torch']}; median of {options.rounds} rounds in turn\n"
    )
    print(f"an epoch on fresh crops      {median(fresh_s):10.3f} s")
    print(f"an epoch on cached features  {median(cached_s):10.4f} s  (the cache, once: {cache_s:.2f} s)")
    print(f"cached is {median(fresh / cached for fresh, cached in zip(fresh_s, cached_s)):.0f} times as fast an epoch")


def fresh_epoch(
    encoder: Encoder, paths: list[Path], labels: torch.Tensor, options: argparse.Namespace, epoch: int
) -> float:
    """Seconds of an epoch of the published probe."""
    probe = replace(linear_moco().measure, batch_size=options.batch_size)
    change = crop_and_flip(encoder.preprocessing, scale=probe.crop_scale)
    images = TrainingImages(paths, change, batch_size=probe.batch_size, seed=0)
    layer = new_layer(encoder.num_features, options.classes, "normal", 0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=probe.lr, momentum=0.9)
    begin = time.perf_counter()
    train_layer(layer, optimizer, encode_epoch(encoder, images, epoch), images.steps, labels, probe, epoch)
    return time.perf_counter() - begin


def cached_epoch(vectors: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace, epoch: int) -> float:
    """Seconds of an epoch of the cached probe with one rate."""
    probe = CachedProbe(batch_size=options.batch_size)
    layer = new_layer(vectors.shape[1], options.classes, "normal", 0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.9)
    order = torch.randperm(len(labels))
    begin = time.perf_counter()
    train_epoch(probe, [layer], optimizer, [1.0], vectors, labels, order, epoch)
    return time.perf_counter() - begin


def photos(folder: Path, count: int) -> list[Path]:
    """JPEGs of 500 x 375, smooth with some noise, as large as an average photo of ImageNet."""
    random, paths = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 255, (12, 16, 3)).astype(np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + random.integers(-12, 12, smooth.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(noisy).save(paths[-1], quality=90)
    return paths


if __name__ == "__main__":
    main()
