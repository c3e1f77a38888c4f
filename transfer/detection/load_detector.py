"""`load_detector`: a trained detector finds objects again, whichever engine trained it."""

from pathlib import Path

from .detector import Detector
from .detector_files import read_about


def load_detector(folder: Path | str) -> Detector:
    """The detector that a run of `goodviews transfer` left in its folder, on the CPU.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
        UsageError: detectron2 trained it and is not installed here.
    """
    folder = Path(folder)
    if read_about(folder).engine == "detectron2":
        from ..detectron2_engine.detector import load as load_detectron2

        return load_detectron2(folder)
    from ..torchvision_engine.detector import load as load_torchvision

    return load_torchvision(folder)
