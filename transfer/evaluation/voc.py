"""How well boxes were found: AP, AP50 and AP75 by the rules of PASCAL VOC 2007.

The rules, as every published VOC transfer number uses them:

- corners are 1-based and inclusive, so a width is xmax - xmin + 1; detections are scored as in a text file of results,
  with scores at three decimals and coordinates at one;
- class by class, detections in order of falling score each take the object of their photo that they overlap most, found
  before or not; with an IoU strictly above the threshold it is a hit, a miss if that object was found before, and
  neither if it is difficult;
- AP at a threshold is the mean, over recall 0, 0.1, ..., 1, of the best precision at that recall or beyond; a class
  without an object to find scores 0;
- AP50 and AP75 are means over classes at 0.50 and 0.75, AP the mean over 0.50, 0.55, ..., 0.95. Percent.

The scores equal those of detectron2's evaluator but for the order of equal scores: here they keep the order of the
photos, there NumPy's default sort, which is not stable, mixes them; at three decimals many are equal.

Source: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge"; He et al. 2020 (arXiv:1911.05722)
for the thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.labelled_photos import LabelledPhoto
from ..detection.detector import Detections
from .matches import DRAWS, IOU_THRESHOLDS, ClassMatches, curves_of, interpolate, resample
from .precision_recall import Curve
from .voc_matching import match_detections

RECALLS = np.arange(0, 1.1, 0.1)


@dataclass(frozen=True)
class VocScores:
    """Percent. `per_class` gives (AP, AP50, AP75) for each class."""

    ap: float
    ap50: float
    ap75: float
    per_class: dict[str, tuple[float, float, float]]


def voc_scores(detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str]) -> VocScores:
    """Scores detections in `photos`; the means are over `classes`, so leave out a class that has no object to find.

    Args:
        detections: At most one entry a photo; a photo without an entry has no detections.
        photos: All photos tested on.
        classes: Not empty.
    """
    return score_matches(match_detections(detections, photos, classes))


def score_matches(matches: Sequence[ClassMatches]) -> VocScores:
    """The scores of detections that were matched already."""
    by_class = _by_metric(np.array([average_precisions(one, one.once) for one in matches]))
    ap, ap50, ap75 = by_class.mean(0).tolist()
    return VocScores(ap, ap50, ap75, {one.name: tuple(row) for one, row in zip(matches, by_class.tolist())})


def resample_matches(matches: Sequence[ClassMatches], *, draws: int = DRAWS) -> np.ndarray:
    """(draws, 3): AP, AP50 and AP75 in percent on draws of the photos; see `matches.resample`."""
    return resample(matches, average_precisions, lambda table: _by_metric(table).mean(0), draws=draws)


def voc_curves(matches: Sequence[ClassMatches]) -> tuple[Curve, ...]:
    """Precision by recall of each class at an IoU of 0.5, with its AP50."""
    return curves_of(matches, average_precisions)


def classes_to_find(photos: Sequence[LabelledPhoto]) -> tuple[str, ...]:
    """The classes that have an object which counts, in alphabetical order."""
    return tuple(sorted({thing.name for photo in photos for thing in photo.objects if not thing.is_difficult}))


def average_precisions(one: ClassMatches, times: np.ndarray) -> np.ndarray:
    """(T,) eleven-point average precision at each threshold, 0-1; photo k counts `times[k]` times."""
    objects = int(times @ one.objects)
    if not objects:
        return np.zeros(len(one.hits))
    counts = one.count(times)
    return np.array([interpolate(hits / np.maximum(counted, 1), hits / objects, RECALLS) for hits, counted in counts])


def _by_metric(table: np.ndarray) -> np.ndarray:
    """(classes, thresholds) in 0-1 -> (classes, 3): AP, AP50, AP75 in percent."""
    return 100 * np.stack([table.mean(1), table[:, 0], table[:, IOU_THRESHOLDS.index(0.75)]], axis=1)
