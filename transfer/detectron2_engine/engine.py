"""The detectron2 engine: fine-tunes the published detectors on the library they were published with.

The configuration is made from the task (`settings`), every weight of the encoder is placed (`load_encoder`), photos
come in the order and with the changes that the torchvision engine sees, and what is found is scored by the same code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import detectron2
import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.engine import launch
from detectron2.solver import build_optimizer
from detectron2.structures import BoxMode
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import update_bn_stats
from PIL import Image
from torch import nn
from torch.multiprocessing.spawn import ProcessException
from torch.utils.data import DataLoader, Dataset

from ...hub.atomic import write_json, write_text
from ...hub.errors import GoodviewsError, UsageError
from ..datasets.labelled_photos import DetectionData, LabelledPhoto, Mask, Rle, read_photo
from ..detection.detector_files import read_weights, write_weights
from ..detection.photo_batches import trainable
from ..detection.photo_order import PhotoOrder, drawn
from ..detection.settings import DetectionSettings, EngineName, Row
from ..detection.training_loop import STATE_EVERY_S, Learner, train
from ..detection.training_run import rank_and_world
from ..evaluation.quick import plain_scores
from .detector import Detectron2Detector, find
from .network import build_detector, build_network, resolved  # first: it says why detectron2 cannot be imported
from .settings import Configuration

if TYPE_CHECKING:
    from ...hub.encoder import Encoder


@dataclass(frozen=True)
class Detectron2Engine:
    """Faster and Mask R-CNN as published, trained by one process or several."""

    processes: int = 1  # each with a GPU of its own, or all on the CPU
    evaluate_every: int = 0  # iterations; the detector is scored on the test photos then too. 0: never
    state_every_s: float = STATE_EVERY_S
    name: EngineName = "detectron2"

    def version(self) -> str:
        return f"detectron2 {detectron2.__version__} (torch {torch.__version__})"

    def differences(self, settings: DetectionSettings) -> tuple[str, ...]:
        each = settings.batch_size // self.processes
        grouped = f"photos are grouped by aspect ratio in {self.processes} x {each} (published: 8 GPUs with 2 photos)"
        as_published = (self.processes, each) == (8, 2)
        return (*([] if as_published else [grouped]), "photos are read as stored, without EXIF rotation")

    def fine_tune(
        self,
        encoder: Encoder,
        data: DetectionData,
        settings: DetectionSettings,
        *,
        seed: int,
        state: Path | None = None,
        workers: int = 0,
        progress: bool = False,
    ) -> tuple[Detectron2Detector, list[Row]]:
        """See `detection.Engine`."""
        _check_processes(self.processes, encoder.device)
        data = replace(data, train=tuple(trainable(data.train)))
        network, config = build_detector(
            encoder,
            len(data.classes),
            settings,
            seed=seed,
            processes=self.processes,
            are_masks_drawn=any(isinstance(thing.mask, Rle) for photo in data.train for thing in photo.objects),
        )
        file = state.with_name(f"{state.name}-{self.processes}.pt") if state else None
        run = _Run(config, settings, data, seed, workers, self.evaluate_every, file, self.state_every_s, progress)
        rows = _train(network, run) if self.processes == 1 else _train_together(network, run, self.processes)
        return (
            Detectron2Detector(network, data.classes, encoder.architecture, encoder.preprocessing, settings, config),
            rows,
        )


def _check_processes(processes: int, device: torch.device) -> None:
    gpus = torch.cuda.device_count()
    if processes > 1 and device.type == "cuda" and processes > gpus:
        raise UsageError(f"{processes} processes need a GPU each; torch sees {gpus}.")
    if processes > 1 and device.type == "cpu" and gpus:
        raise UsageError(
            "Several processes train on the CPU only where torch sees no GPU: set CUDA_VISIBLE_DEVICES=''."
        )


@dataclass(frozen=True)
class _Run:
    """What a training process must know."""

    configuration: Configuration
    settings: DetectionSettings
    data: DetectionData  # photos to train on are `trainable`
    seed: int
    workers: int
    evaluate_every: int
    state: Path | None
    state_every_s: float
    progress: bool


def _train(network: nn.Module, run: _Run) -> list[Row]:
    learner = Learner(
        network,
        build_optimizer(resolved(run.configuration), network),
        lambda start, stop: _batches(run, start, stop),
        lambda model, batch: model(batch),
        lambda model, further: update_bn_stats(model, further, run.settings.precise_bn_iterations),
    )
    with EventStorage():  # into which detectron2's parts write
        return train(
            learner,
            run.settings,
            seed=run.seed,
            evaluate=lambda: _evaluate(network, run),
            evaluate_every=run.evaluate_every,
            state=run.state,
            state_every_s=run.state_every_s,
            progress=run.progress,
        )


def _train_together(network: nn.Module, run: _Run, processes: int) -> list[Row]:
    """Trains copies in processes of detectron2's launcher; the first one's result goes into `network`.

    Raises:
        GoodviewsError: what a process said when it ended.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(network, folder / "start.safetensors")
        try:
            launch(_one_of_several, processes, dist_url="auto", args=(run, folder))
        except ProcessException:
            said = sorted(folder.glob("error*.txt"))
            if not said:
                raise
            raise GoodviewsError(said[0].read_text(encoding="utf-8")) from None
        read_weights(network, folder / "trained.safetensors")
        return json.loads((folder / "rows.json").read_text(encoding="utf-8"))


def _one_of_several(run: _Run, folder: Path) -> None:
    rank, _ = rank_and_world()
    network = build_network(run.configuration)
    read_weights(network, folder / "start.safetensors")
    try:
        rows = _train(network, run)
    except GoodviewsError as error:
        write_text(folder / f"error{rank}.txt", str(error))
        raise
    if rank == 0:  # processes may measure other statistics of batch norm; these are the ones that are scored and saved
        write_weights(network, folder / "trained.safetensors")
        write_json(folder / "rows.json", rows)


def _evaluate(network: nn.Module, run: _Run) -> Row:
    """Scores on the test photos, which the processes share; only the first one gets them."""
    rank, world = rank_and_world()
    photos = run.data.test[rank::world]
    found = [find(network, run.data.classes, run.settings, read_photo(photo), photo.id) for photo in photos]
    shares = comm.gather(found)
    if rank:
        return {}
    by_photo = {one.photo_id: one for share in shares for one in share}
    return plain_scores([by_photo[photo.id] for photo in run.data.test], run.data, run.settings)


def _batches(run: _Run, start: int, stop: int) -> Iterator[list[dict[str, Any]]]:
    mask_format = run.configuration["INPUT.MASK_FORMAT"]
    samples = Samples(run.data.train, run.data.classes, run.settings, run.seed, mask_format)
    rank, world = rank_and_world()
    order = PhotoOrder(run.data.train, run.settings.batch_size // world, run.seed, start, stop, rank, world)
    yield from DataLoader(samples, batch_sampler=order, num_workers=run.workers, collate_fn=list)


class Samples(Dataset):
    """By (position, photo): what detectron2 trains on, at the size and flip drawn from (seed, position)."""

    def __init__(
        self,
        photos: Sequence[LabelledPhoto],
        classes: Sequence[str],
        settings: DetectionSettings,
        seed: int,
        mask_format: Literal["polygon", "bitmask"] = "polygon",
    ):
        self.photos, self.settings, self.seed, self.mask_format = photos, settings, seed, mask_format
        self.label = {name: number for number, name in enumerate(classes)}

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        position, index = key
        photo = self.photos[index]
        pixels = np.array(read_photo(photo))
        transforms = self._transforms(pixels, position)
        image = transforms.apply_image(pixels)
        size = image.shape[:2]
        objects = [
            detection_utils.transform_instance_annotations(entry, transforms, size) for entry in self._objects(photo)
        ]
        instances = detection_utils.annotations_to_instances(objects, size, mask_format=self.mask_format)
        tensor = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"image": tensor, "instances": detection_utils.filter_empty_instances(instances)}

    def _transforms(self, pixels: np.ndarray, position: int) -> T.TransformList:
        height, width = pixels.shape[:2]
        short_side_px, is_flipped = drawn(self.settings, self.seed, position)
        size = T.ResizeShortestEdge.get_output_shape(height, width, short_side_px, self.settings.long_side_px)
        resize = T.ResizeTransform(height, width, *size, Image.Resampling.BILINEAR)
        return T.TransformList([resize, *([T.HFlipTransform(size[1])] if is_flipped else [])])

    def _objects(self, photo: LabelledPhoto) -> list[dict[str, Any]]:
        """As detectron2's data sets have them."""
        found = []
        for thing in photo.objects:
            entry = {"bbox": thing.box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": self.label[thing.name]}
            if self.settings.masks:
                entry["segmentation"] = _as_in_coco(thing.mask)
            found.append(entry)
        return found


def _as_in_coco(mask: Mask | None) -> Any:
    assert mask is not None, "the reader lets no object without a mask through to a task that needs them"
    return mask.as_coco() if isinstance(mask, Rle) else [list(polygon) for polygon in mask]
