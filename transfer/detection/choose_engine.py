"""Which engine trains a detector: the one the user asks for, or the published one where it can."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from ...hub.encoder import Encoder
    from ..task import Setup
    from .detector import Engine
    from .settings import DetectionSettings

DETECTRON2_IS_MISSING = (
    "detectron2 is not installed; `goodviews doctor` says how to get it. With --engine torchvision the same task runs "
    "without it."
)


def choose_engine(setup: Setup, encoder: Encoder, settings: DetectionSettings) -> Engine:
    """The engine of `setup`. "auto" is detectron2, the published one, where it is installed, the encoder is on a GPU
    and detectron2 can build this detector on it; torchvision elsewhere.

    Raises:
        UsageError: detectron2 is asked for and not installed.
    """
    is_installed = find_spec("detectron2") is not None
    if setup.engine == "detectron2" and not is_installed:
        raise UsageError(DETECTRON2_IS_MISSING)
    is_better = is_installed and encoder.device.type == "cuda" and _detectron2_builds(encoder, settings)
    if setup.engine == "detectron2" or (setup.engine == "auto" and is_better):
        from ..detectron2_engine.engine import Detectron2Engine

        return Detectron2Engine(setup.process_count, setup.evaluate_every)
    from ..torchvision_engine.engine import TorchvisionEngine

    return TorchvisionEngine(setup.process_count, setup.evaluate_every)


def _detectron2_builds(encoder: Encoder, settings: DetectionSettings) -> bool:
    from ..detectron2_engine.tensor_names import shape_of

    shapes = {name: tuple(tensor.shape) for name, tensor in encoder.backbone.state_dict().items()}
    try:
        shape_of(shapes, encoder.architecture, settings.trunk)
    except UsageError:
        return False
    return True
