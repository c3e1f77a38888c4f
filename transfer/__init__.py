"""How well an encoder transfers: tasks that measure it, reports of what was measured, comparisons of the reports.

Importing this package costs nothing; torch is imported when a task runs.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Task": "task",
    "Setup": "task",
    "Measurement": "task",
    "TASKS": "commands",
    "knn": "classification.frozen",
    "linear": "classification.frozen",
    "read_voc": "datasets.voc",
    "voc_scores": "evaluation.voc",
    "load_detector": "detection.load_detector",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
