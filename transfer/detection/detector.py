"""The contract between detection tasks and engines: what a detector finds, what it can do, and who trains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..datasets.labelled_photos import Rle
from ..task import SAVE_EVERY_S

if TYPE_CHECKING:
    from typing import Self

    from PIL import Image

    from ...hub.encoder import Encoder
    from ...hub.preprocessing import Preprocessing
    from ..datasets.detection_data import DetectionData
    from ..training_state import Row
    from .settings import DetectionSettings

EngineName = Literal["torchvision", "detectron2"]


@dataclass(frozen=True)
class Detections:
    """What a detector found in one photo: n objects, the highest score first."""

    photo_id: str
    boxes: np.ndarray  # (n, 4) xmin, ymin, xmax, ymax in pixels of the photo, 0-based edges
    scores: np.ndarray  # (n,) 0-1
    names: tuple[str, ...]  # their n classes
    masks: tuple[Rle, ...] | None = None  # of the photo's size; None: the detector finds boxes only


class Detector(Protocol):
    """A trained detector, whichever engine trained it."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def settings(self) -> DetectionSettings: ...

    @property
    def preprocessing(self) -> Preprocessing:
        """The encoder's; of it the range of values counts for photos."""
        ...

    def to(self, device: str) -> Self:
        """Moves the network; it finds objects there from now on."""
        ...

    def detect(self, image: Image.Image | Path | str, photo_id: str = "") -> Detections:
        """Finds objects in a photo: an RGB image or a file. Boxes and masks are in pixels of that photo.

        Raises:
            DataError: the file cannot be read.
        """
        ...

    def save(self, folder: Path) -> Path:
        """Writes what `load_detector` reads into an existing folder."""
        ...


class Engine(Protocol):
    """A library that fine-tunes detectors by the settings of a protocol."""

    @property
    def name(self) -> EngineName: ...

    def version(self) -> str:
        """Name before version, for Report.engine: "torchvision 0.24"."""
        ...

    def differences(self, settings: DetectionSettings) -> tuple[str, ...]:
        """What this engine is known to do otherwise than the published one, in words."""
        ...

    def fine_tune(
        self,
        encoder: Encoder,
        data: DetectionData,
        settings: DetectionSettings,
        *,
        seed: int,
        state: Path | None = None,
        state_every_s: float = SAVE_EVERY_S,
        workers: int = 0,
        tensorboard: Path | None = None,
        progress: bool = False,
    ) -> tuple[Detector, list[Row]]:
        """Trains a detector around a copy of `encoder` on `data.train`, on the encoder's device.

        Args:
            encoder: Stays as it is.
            data: Photos without an object to learn from are left out; a crowd is none.
            settings: What the protocol fixes.
            seed: Of everything random.
            state: The file that a stopped training continues from; an engine may extend its name. None: nothing is
                saved.
            state_every_s: Seconds between two saves of it.
            workers: Processes that read photos.
            tensorboard: The folder in which the rows are written for TensorBoard; None: they are not.
            progress: Show a bar.

        Returns:
            The detector, and rows of losses, learning rate and speed by iteration.

        Raises:
            UsageError: the engine cannot build a detector on this encoder.
            GoodviewsError: a loss is no longer finite.
        """
        ...
