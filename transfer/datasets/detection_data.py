"""The labelled photos of a detection task: those to train on and those to test on. Torch-free."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...hub.deep_pixels import Values
from .photo_table import PhotoTable


@dataclass(frozen=True)
class DetectionData:
    """The photos that a detector is trained on and tested on. Pickled, the photos are a handle: see `PhotoTable`."""

    name: str
    root: Path  # every path lies below it
    layout: Literal["voc", "coco"]
    classes: tuple[str, ...]  # a label is a position here; VOC: alphabetical, COCO: in the order of the categories' ids
    train: PhotoTable
    test: PhotoTable
    train_splits: tuple[str, ...]  # ("VOC2007 trainval", "VOC2012 trainval"), ("train2017",)
    test_split: str  # "VOC2007 test", "val2017"
    label_files: tuple[Path, ...]  # every file of labels that was read
    category_ids: tuple[int, ...] = ()  # COCO: of each class
    notes: tuple[str, ...] = ()  # a sentence for each thing the reader leaves out

    @property
    def photo_files(self) -> list[Path]:
        """The files of all photos, those to train on first."""
        return [*self.train.paths(), *self.test.paths()]

    def with_values(self, values: Values | None) -> "DetectionData":
        """The same photos, of more than 8 bits with this range of values; None changes nothing."""
        return replace(self, train=self.train.with_values(values), test=self.test.with_values(values))
