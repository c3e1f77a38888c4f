"""Training from JPEG files against the same steps on one batch that lies on the device; and against lightly's MoCo v2.

    python benchmarks/gpu_pretraining.py [infomin_200 clsa_multi_200] [--images DIR] [--workers 16] [--out speed.json]

For each recipe, through the training loop itself and with its own batch, network and precision:

from_files  files decoded and cropped by the workers, views rendered on the device, one step after another
synthetic   the same, but every step gets the first step's views
share       from_files / synthetic: 1 when the network, not the data, decides the speed. Target on a GPU: 0.9

With moco_v2_200 among the recipes and lightly installed (pip install lightly), the same network, batch and precision
are trained by lightly's own views, head and loss on the same files, too: lightly, and moco_v2_200's rate over it.
Target on a GPU: 2. `--keep gpu` decodes once and crops on the GPU. On a CPU this shows that it runs; its rates mean
little there.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from driven_run import PHOTOS, repeated, watch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from goodviews.hub.backbone import build_backbone
from goodviews.hub.reports.provenance import commit, hardware
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training.precision import resolve_device, resolve_precision


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["infomin_200", "clsa_multi_200", "moco_v2_200"])
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--architecture", help="instead of the recipe's")
    parser.add_argument("--workers", type=int, default=min(16, os.cpu_count() or 1))
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto")
    parser.add_argument("--keep", choices=["no", "memory", "disk", "gpu"], default="no")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    figures: dict = {"hardware": hardware(), "commit": commit(), "given": {k: str(v) for k, v in vars(given).items()}}
    for name in given.recipes:
        recipe = choose(name)
        recipe = replace(
            recipe,
            batch_size=given.batch_size or recipe.batch_size,
            architecture=given.architecture or recipe.architecture,
        )
        figures[name] = measure(recipe, given)
        print(name, "  ".join(f"{what} {value:.2f}" for what, value in figures[name].items()), sep="  ")
        if given.out:
            given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def measure(recipe: Recipe, given: argparse.Namespace) -> dict[str, float]:
    """Images a second from files and from one batch, their ratio, and lightly's rate for MoCo v2."""
    options = Options(device=given.device, precision=given.precision)
    loading = replace(options, workers=given.workers, keep=given.keep)
    steps = {"steps": given.steps, "warm_up": given.warm_up}
    from_files = watch(recipe, given.images, options=loading, **steps)
    synthetic = watch(recipe, given.images, synthetic=True, options=options, **steps)
    found = {"from_files": from_files.images_per_s, "synthetic": synthetic.images_per_s}
    found["share"] = found["from_files"] / found["synthetic"]
    if torch.cuda.is_available():
        found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    if recipe.name.startswith("moco_v2") and find_spec("lightly") is not None:
        found["lightly"] = lightly_rate(recipe, given)
        found["over_lightly"] = found["from_files"] / found["lightly"]
    return found


def lightly_rate(recipe: Recipe, given: argparse.Namespace, clock: Callable[[], float] = time.perf_counter) -> float:
    """Images a second of MoCo v2 by lightly's parts, put together as its documentation does."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import MoCoProjectionHead
    from lightly.models.utils import batch_shuffle, batch_unshuffle, deactivate_requires_grad, update_momentum

    device = resolve_device(given.device)
    half = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[resolve_precision(given.precision, device)]

    def network() -> nn.Module:
        backbone = build_backbone(recipe.architecture)
        head = MoCoProjectionHead(backbone.num_features, backbone.num_features, 128)
        return nn.Sequential(backbone, head).to(device, memory_format=torch.channels_last)

    query, key = network(), network()
    key.load_state_dict(query.state_dict())
    deactivate_requires_grad(key)
    contrast = NTXentLoss(temperature=0.2, memory_bank_size=(65536, 128))
    optimizer = torch.optim.SGD(query.parameters(), **vars(recipe.optimizer))
    scaler = torch.amp.GradScaler(device, enabled=half == torch.float16)
    ends: list[float] = []
    for first, second in _lightly_batches(recipe, given, device):
        update_momentum(query, key, 0.999)
        with torch.autocast(device, half or torch.bfloat16, enabled=half is not None):
            shuffled, order = batch_shuffle(second)
            with torch.no_grad():
                keys = batch_unshuffle(key(shuffled), order)
            loss = contrast(query(first).float(), keys.float())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if len(ends) in (given.warm_up, given.warm_up + given.steps) and device == "cuda":
            torch.cuda.synchronize()
        ends.append(clock())
        if len(ends) > given.warm_up + given.steps:
            break
    return recipe.batch_size * given.steps / (ends[-1] - ends[given.warm_up])


def _lightly_batches(recipe: Recipe, given: argparse.Namespace, device: str):
    """Batches of lightly's two views on the device, as many as it takes."""
    with TemporaryDirectory() as folder:
        needed = (given.steps + given.warm_up + 1) * recipe.batch_size
        photos = repeated(given.images, Path(folder) / "photos.txt", at_least=needed).read_text("utf-8").splitlines()
    loader = DataLoader(
        _LightlyPhotos(photos, recipe.input_px),
        recipe.batch_size,
        num_workers=given.workers,
        drop_last=True,
        pin_memory=device == "cuda",
    )
    for views in loader:
        yield [view.to(device, non_blocking=True, memory_format=torch.channels_last) for view in views]


class _LightlyPhotos(Dataset):
    def __init__(self, photos: list[str], px: int):
        from lightly.transforms import MoCoV2Transform

        self.photos, self.transform = photos, MoCoV2Transform(input_size=px)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, position: int) -> list[torch.Tensor]:
        with Image.open(self.photos[position]) as photo:
            return self.transform(photo.convert("RGB"))


if __name__ == "__main__":
    main()
