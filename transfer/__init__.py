"""How well an encoder transfers: tasks that measure it, reports of what was measured, comparisons of the reports.

Importing this package costs nothing; torch is imported when a task runs.
"""

from typing import TYPE_CHECKING

from ..hub.lazy_names import lazy_names

if TYPE_CHECKING:
    from .classification.knn import knn as knn
    from .classification.linear import linear as linear
    from .classifiers.files import load_classifier as load_classifier
    from .datasets.voc import read_voc as read_voc
    from .detection.load_detector import load_detector as load_detector
    from .evaluation.voc import voc_scores as voc_scores
    from .registry import TASKS as TASKS
    from .task import Measurement as Measurement
    from .task import Setup as Setup
    from .task import Task as Task
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "classifiers.files": ("load_classifier",),
            "classification.knn": ("knn",),
            "classification.linear": ("linear",),
            "datasets.voc": ("read_voc",),
            "detection.load_detector": ("load_detector",),
            "evaluation.voc": ("voc_scores",),
            "task": ("Measurement", "Setup", "Task"),
            "registry": ("TASKS",),
        },
    )
