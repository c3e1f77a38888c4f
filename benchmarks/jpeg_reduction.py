"""What decoding JPEG files at a fraction of their size costs in quality, and what it gains in speed.

    python benchmarks/jpeg_reduction.py --data DIR [--px 64 112 224] [--photos 200] [--out FILE.json]

Random crops of photos are made twice, from whole photos and from reduced ones, by the rule that a crop must still be
reduced by `spare` after the decoder. Printed are, over the crops that were made from a reduced photo: PSNR in dB,
the mean difference in levels of 8 bits, and the variance of the Laplacian as a ratio (below 1: blurrier); then the
share of such crops, and the photos a second.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.hub.sources.folders import find_images
from goodviews.pretrain.data import decode
from goodviews.pretrain.views.view import RandomResizedCrop

LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--px", type=int, nargs="+", default=[64, 112, 224])
    parser.add_argument("--spares", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    photos = find_images(given.data)[: given.photos]
    rows = [measure(photos, px, spare) for px in given.px for spare in given.spares]
    for row in rows:
        print("  ".join(f"{name} {value:g}" for name, value in row.items()))
    if given.out is not None:
        figures = {"rows": rows, "photos": len(photos), "hardware": hardware(), "commit": commit()}
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def measure(photos: list[Path], px: int, spare: int) -> dict[str, Any]:
    """One crop of each photo, whole against reduced."""
    crop, usual = RandomResizedCrop(px, (0.2, 1.0)), decode.SPARE
    draws = [np.random.default_rng(i).random(crop.width) for i in range(len(photos))]
    decode.SPARE = spare
    try:
        reduced, reduced_s = timed(photos, crop, draws, is_exact=False)
        whole, whole_s = timed(photos, crop, draws, is_exact=True)
    finally:
        decode.SPARE = usual
    changed = [(a, b) for a, b in zip(reduced, whole) if not torch.equal(a, b)]
    about = {"px": px, "spare": spare, "reduced_share": round(len(changed) / len(photos), 3)}
    about |= {"photos_per_s": round(len(photos) / reduced_s, 1), "whole_photos_per_s": round(len(photos) / whole_s, 1)}
    if not changed:
        return about
    noise = [psnr(a, b) for a, b in changed]
    levels = float(np.mean([(a.float() - b.float()).abs().mean().item() for a, b in changed]))
    sharpness = float(np.median([sharp(a) / max(sharp(b), 1e-9) for a, b in changed]))
    quality = {"psnr_median": float(np.median(noise)), "psnr_worst": min(noise), "levels": levels}
    return about | {name: round(value, 2) for name, value in (quality | {"laplacian_ratio": sharpness}).items()}


def timed(
    photos: list[Path], crop: RandomResizedCrop, draws: list[np.ndarray], *, is_exact: bool
) -> tuple[list[Tensor], float]:
    """The crops and the seconds they took."""
    start = time.perf_counter()
    crops = [decode.read_crops(path, [crop], [row], is_exact=is_exact)[0] for path, row in zip(photos, draws)]
    return crops, time.perf_counter() - start


def psnr(one: Tensor, other: Tensor) -> float:
    """In dB."""
    return float(10 * torch.log10(255**2 / (one.float() - other.float()).square().mean()))


def sharp(crop: Tensor) -> float:
    """Variance of the Laplacian of the grey picture."""
    return float(F.conv2d(crop.float().mean(dim=0)[None, None], LAPLACIAN).var())


if __name__ == "__main__":
    main()
