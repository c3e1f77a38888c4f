"""Training batches as detectron2 takes them, of the same photos, sizes and flips that the torchvision engine sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.structures import BoxMode
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ..datasets.labelled_photos import LabelledPhoto, Mask, Rle, read_photo
from ..datasets.photo_table import PhotoTable
from ..detection.photo_order import PhotoOrder, draw_size_and_flip
from ..detection.settings import DetectionSettings
from ..processes.sharing import rank_and_world

MaskFormat = Literal["polygon", "bitmask"]
# What leaves a worker, (3, H, W) uint8 and the objects in it: arrays, for each tensor would take a file descriptor.
_Sample = tuple[np.ndarray, list[dict[str, Any]]]


class Samples(Dataset):
    """By (position, photo): the photo at the size and flip that (seed, position) give, with its boxes and masks."""

    def __init__(
        self,
        photos: PhotoTable,
        classes: Sequence[str],
        settings: DetectionSettings,
        seed: int,
        mask_format: MaskFormat = "polygon",
    ):
        self.photos, self.settings, self.seed, self.mask_format = photos, settings, seed, mask_format
        self.label = {name: number for number, name in enumerate(classes)}

    def batches(self, start: int, stop: int, workers: int) -> Iterator[list[dict[str, Any]]]:
        """Batches `start` to `stop` of this process; with several, each gets its share of a batch."""
        rank, world = rank_and_world()
        order = PhotoOrder(self.photos, self.settings.batch_size // world, self.seed, start, stop, rank, world)
        loader = DataLoader(self, batch_sampler=order, num_workers=workers, collate_fn=list)
        yield from ([self.for_detectron2(sample) for sample in batch] for batch in loader)

    def __getitem__(self, key: tuple[int, int]) -> _Sample:
        position, index = key
        photo = self.photos[index]
        pixels = np.array(read_photo(photo))
        transforms = self._transforms(pixels, position)
        image = transforms.apply_image(pixels)
        size = image.shape[:2]
        objects = [
            detection_utils.transform_instance_annotations(entry, transforms, size) for entry in self._objects(photo)
        ]
        return np.ascontiguousarray(image.transpose(2, 0, 1)), objects

    def for_detectron2(self, sample: _Sample) -> dict[str, Any]:
        """A sample, which may come from a worker, as detectron2's networks take it."""
        image, objects = sample
        instances = detection_utils.annotations_to_instances(objects, image.shape[1:], mask_format=self.mask_format)
        return {"image": torch.from_numpy(image), "instances": detection_utils.filter_empty_instances(instances)}

    def _transforms(self, pixels: np.ndarray, position: int) -> T.TransformList:
        height, width = pixels.shape[:2]
        short_side_px, is_flipped = draw_size_and_flip(self.settings, self.seed, position)
        size = T.ResizeShortestEdge.get_output_shape(height, width, short_side_px, self.settings.long_side_px)
        resize = T.ResizeTransform(height, width, *size, Image.Resampling.BILINEAR)
        return T.TransformList([resize, *([T.HFlipTransform(size[1])] if is_flipped else [])])

    def _objects(self, photo: LabelledPhoto) -> list[dict[str, Any]]:
        """As in detectron2's data sets."""
        entries = []
        for thing in photo.objects:
            entry = {"bbox": thing.box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": self.label[thing.name]}
            if self.settings.masks:
                entry["segmentation"] = _segmentation(thing.mask)
            entries.append(entry)
        return entries


def _segmentation(mask: Mask | None) -> Any:
    assert mask is not None, "the reader refuses an object without a mask where the task learns masks"
    return mask.as_coco() if isinstance(mask, Rle) else [list(polygon) for polygon in mask]
