"""How long a training step takes on torchvision's parts, compared with detectron2 on the same photos.

    python benchmarks/detection_engine_speed.py --photo X.jpg --architecture resnet50 --short-side 160 --threads 1

Both detectors are the library's, with the same weights in their ResNets; they take steps in turn on the same batch, at
the size and flip that either engine would draw. Reading and resizing photos is left out; on the CPU the processor's
time is counted. Needs detectron2.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from PIL import Image

from goodviews.hub import from_pretrained
from goodviews.hub.reports.provenance import hardware, libraries
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.detection.coco import coco_fpn_1x
from goodviews.transfer.detection.photo_batches import batches
from goodviews.transfer.detection.photo_order import PhotoOrder
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.detection.voc import voc_detection
from goodviews.transfer.detectron2_engine.engine import Detectron2Engine
from goodviews.transfer.detectron2_engine.network import build_detector as on_detectron2
from goodviews.transfer.detectron2_engine.network import full_configuration
from goodviews.transfer.detectron2_engine.samples import Samples
from goodviews.transfer.torchvision_engine.network import build_detector as on_torchvision
from goodviews.transfer.torchvision_engine.training import parameter_groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True, help="any photo; two objects are made up in it")
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--trunk", choices=("c4", "fpn"), default="c4")
    parser.add_argument("--short-side", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--regions", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = settings_of(options)
    steps = {"torchvision": torchvision_step(options, settings), "detectron2": detectron2_step(options, settings)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            taken = timed(step, options.device)
            if number:  # the first one warms up
                seconds[name].append(taken)
    libs = libraries()
    print(f"{options.architecture} {options.trunk}, {options.batch_size} photos of short side {options.short_side} px")
    print(f"{options.regions} regions a photo, {options.threads} threads, {hardware()}, {options.device}")
    print(f"torch {libs['torch']}, {Detectron2Engine().version()}; median of {options.rounds} rounds in turn\n")
    for name in steps:
        print(f"a step on {name:12} {median(seconds[name]):8.3f} s")
    ratio = median(ours / theirs for ours, theirs in zip(seconds["torchvision"], seconds["detectron2"]))
    print(f"torchvision takes {ratio:.2f} times as long as detectron2")


def settings_of(options: argparse.Namespace) -> DetectionSettings:
    """The published detector on smaller photos with fewer regions."""
    published = (voc_detection if options.trunk == "c4" else coco_fpn_1x)().measure
    assert isinstance(published, DetectionSettings)
    return replace(
        published,
        batch_size=options.batch_size,
        short_sides_px=(options.short_side,),
        long_side_px=options.short_side * 2,
        roi_samples=options.regions,
    )


def torchvision_step(options: argparse.Namespace, settings: DetectionSettings) -> Callable[[], None]:
    encoder = from_pretrained(f"random:{options.architecture}@0").to(options.device)
    network = on_torchvision(encoder.backbone, encoder.preprocessing, 2, settings).to(options.device).train()
    optimizer = torch.optim.SGD(parameter_groups(network, settings), lr=1e-4, momentum=settings.momentum)
    batch = next(batches(photos(options), ("left", "right"), settings, seed=0, stop=1))
    images = [photo.to(options.device) for photo, _ in batch]
    targets = [
        {name: value.to(options.device) if isinstance(value, torch.Tensor) else value for name, value in target.items()}
        for _, target in batch
    ]
    return lambda: learn(network(images, targets), optimizer)


def detectron2_step(options: argparse.Namespace, settings: DetectionSettings) -> Callable[[], None]:
    from detectron2.solver import build_optimizer
    from detectron2.utils.events import EventStorage

    encoder = from_pretrained(f"random:{options.architecture}@0").to(options.device)
    network, config = on_detectron2(encoder, 2, settings, seed=0)
    optimizer = build_optimizer(full_configuration({**config, "SOLVER.BASE_LR": 1e-4}), network.train())
    labelled = photos(options)
    samples = Samples(labelled, ("left", "right"), settings, 0)
    batch = [samples[key] for key in next(iter(PhotoOrder(labelled, settings.batch_size, 0, 0, 1)))]

    def step() -> None:
        with EventStorage():
            learn(network(batch), optimizer)

    return step


def learn(losses: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()


def timed(step: Callable[[], None], device: str) -> float:
    """Seconds of a step: on the CPU those of the processor, which other work on the machine does not lengthen."""
    torch.manual_seed(0)  # both draw as many regions
    if device == "cpu":
        begin = time.process_time()
        step()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def photos(options: argparse.Namespace) -> list[LabelledPhoto]:
    """The photo, once for each place in the batch, with an object in each half of it."""
    with Image.open(options.photo) as image:
        width, height = image.size
    objects = []
    for name, left in (("left", 0.05), ("right", 0.55)):
        xmin, ymin, xmax, ymax = left * width, 0.2 * height, (left + 0.4) * width, 0.8 * height
        outline = (xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax)
        objects.append(LabelledObject(name, (xmin, ymin, xmax, ymax), mask=(outline,)))
    return [LabelledPhoto(str(n), options.photo, width, height, tuple(objects)) for n in range(options.batch_size)]


if __name__ == "__main__":
    main()
