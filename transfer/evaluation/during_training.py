"""The scores of a detector during training: the metrics alone, without intervals and curves."""

from collections.abc import Callable, Sequence

from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import LabelledPhoto
from ..detection.detector import Detections
from ..detection.settings import DetectionSettings
from ..processes.sharing import gather, rank_and_world
from ..training_state import Row


def plain_scores(detections: Sequence[Detections], data: DetectionData, settings: DetectionSettings) -> Row:
    """AP, AP50 and AP75 of boxes by the rules of the data's layout, and with masks also theirs; percent.

    Args:
        detections: An entry for each photo of `data.test`.
        data: With the objects to find.
        settings: Say whether masks are found too.
    """
    if data.layout == "voc":
        from .voc import classes_to_find, voc_scores

        scores = voc_scores(detections, data.test, classes_to_find(data.test))
        return {"AP": scores.ap, "AP50": scores.ap50, "AP75": scores.ap75}
    from .coco import coco_scores

    row = coco_scores(detections, data.test, data.classes).values
    if settings.masks:
        masks = coco_scores(detections, data.test, data.classes, kind="masks").values
        row = {**row, **{f"mask_{name}": value for name, value in masks.items()}}
    return row


def shared_scores(find: Callable[[LabelledPhoto], Detections], data: DetectionData, settings: DetectionSettings) -> Row:
    """As `plain_scores`, of what each process finds on its share of `data.test`; empty in all but the first."""
    rank, world = rank_and_world()
    shares = gather([find(photo) for photo in data.test[rank::world]])
    if rank:
        return {}
    by_photo = {one.photo_id: one for share in shares for one in share}
    return plain_scores([by_photo[photo.id] for photo in data.test], data, settings)
