"""The scores of a detector without their intervals, for looking at while it is still trained."""

from collections.abc import Sequence

from ..datasets.labelled_photos import DetectionData
from ..detection.detector import Detections
from ..detection.settings import DetectionSettings
from ..training_state import Row


def plain_scores(found: Sequence[Detections], data: DetectionData, settings: DetectionSettings) -> Row:
    """AP, AP50 and AP75 of boxes by the rules of the data's layout, and with masks also theirs; percent.

    Args:
        found: an entry for each photo of `data.test`.
        data: what was to be found.
        settings: whether masks are found too.
    """
    if data.layout == "voc":
        from .voc import classes_to_find, voc_scores

        scores = voc_scores(found, data.test, classes_to_find(data.test))
        return {"AP": scores.ap, "AP50": scores.ap50, "AP75": scores.ap75}
    from .coco import coco_scores

    row = coco_scores(found, data.test, data.classes).values
    if settings.masks:
        masks = coco_scores(found, data.test, data.classes, kind="masks").values
        row = {**row, **{f"mask_{name}": value for name, value in masks.items()}}
    return row
