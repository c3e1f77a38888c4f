"""The centre of goodviews: encoders, their folders, and where to get them.

Names load when first used, so that the parts without torch stay without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import check as check
    from .artifact import load as load
    from .artifact import save as save
    from .encoder import Encoder as Encoder
    from .encoder import Origin as Origin
    from .errors import ArtifactError as ArtifactError
    from .errors import DataError as DataError
    from .errors import GoodviewsError as GoodviewsError
    from .errors import MissingExtra as MissingExtra
    from .errors import OutputExists as OutputExists
    from .errors import UsageError as UsageError
    from .images import SkippedImages as SkippedImages
    from .images import find_images as find_images
    from .images import read_image as read_image
    from .preprocessing import Preprocessing as Preprocessing
    from .pretrained import from_pretrained as from_pretrained
    from .report import Report as Report
    from .report import load_report as load_report
    from .report import save_report as save_report

_HOME = {
    "check": "artifact",
    "load": "artifact",
    "save": "artifact",
    "Encoder": "encoder",
    "Origin": "encoder",
    "ArtifactError": "errors",
    "DataError": "errors",
    "GoodviewsError": "errors",
    "MissingExtra": "errors",
    "OutputExists": "errors",
    "UsageError": "errors",
    "SkippedImages": "images",
    "find_images": "images",
    "read_image": "images",
    "Preprocessing": "preprocessing",
    "from_pretrained": "pretrained",
    "Report": "report",
    "load_report": "report",
    "save_report": "report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
