"""The centre of goodviews: encoders, their folders, and where to get them.

Names load when first used, so that the parts without torch stay without it.
"""

from typing import TYPE_CHECKING

from .lazy_names import lazy_names

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
    from .identity import EncoderId as EncoderId
    from .images import SkippedImages as SkippedImages
    from .images import read_image as read_image
    from .onnx_classifier import OnnxClassifier as OnnxClassifier
    from .onnx_encoder import OnnxEncoder as OnnxEncoder
    from .photo_encoder import PhotoEncoder as PhotoEncoder
    from .photo_encoder import open_encoder as open_encoder
    from .preprocessing import Preprocessing as Preprocessing
    from .pretrained import from_pretrained as from_pretrained
    from .reports.report import Report as Report
    from .reports.report import load_report as load_report
    from .reports.report import save_report as save_report
    from .sources.folders import find_images as find_images
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "artifact": ("check", "load", "save"),
            "encoder": ("Encoder", "Origin"),
            "errors": ("ArtifactError", "DataError", "GoodviewsError", "MissingExtra", "OutputExists", "UsageError"),
            "identity": ("EncoderId",),
            "images": ("SkippedImages", "read_image"),
            "onnx_classifier": ("OnnxClassifier",),
            "onnx_encoder": ("OnnxEncoder",),
            "photo_encoder": ("PhotoEncoder", "open_encoder"),
            "preprocessing": ("Preprocessing",),
            "pretrained": ("from_pretrained",),
            "reports.report": ("Report", "load_report", "save_report"),
            "sources.folders": ("find_images",),
        },
    )
