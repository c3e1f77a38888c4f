"""Which strengths of views to pretrain with on photos of one's own: from the photos to a recommendation.

Each level of each knob trains a small network. With labels it is judged by a linear probe. Without, by a criterion
that needs none: how well a linear probe on the features tells by how many quarter turns a photo was turned
(SelfAugment: Reed et al. 2021, arXiv:2009.07724, who find that it ranks augmentations much as labels do). Photos that
look alike from all sides, such as blood cells, give it nothing to see.

A level is recommended instead of the default only when its gain is sure. How well the criterion without labels chose on
sets with labels is in `criteria`; it beat a random choice but not the default, so without labels the default is
recommended, and what the criterion prefers is shown.
"""

from dataclasses import asdict
from pathlib import Path

from ...hub.files.atomic import write_json
from ..analysis.compute import SPARE_SIDE, compute
from ..analysis.lab_options import LabOptions, TuneOptions
from ..analysis.photo_arrays import read_photos
from ..analysis.run_sweep import refuse_taken
from ..analysis.trainer import Asked
from .page import write_page, write_recipe
from .recommendation import Recommendation, recommend
from .strengths import tune_sweep

USUAL = TuneOptions()


def tune(
    data: str, out: Path, options: LabOptions = USUAL, *, precision: Asked = "auto", is_shown: bool = False
) -> Recommendation:
    """Compute what RUN lacks and write figures, page and recipe file.

    Raises:
        DataError: too few photos.
        UsageError: a number out of range; the budget is too short; RUN holds something else.
    """
    options.check()
    refuse_taken(out, overwrite=options.overwrite, data=data)
    px = options.px
    photos = read_photos(data, px=SPARE_SIDE * px, least_px=px, most=options.photos, needs_labels=False)
    report = compute(tune_sweep, photos, out, options, precision=precision, is_shown=is_shown)
    found = recommend(report)
    write_json(out / "tune.json", asdict(found))
    write_recipe(found, report, out / "tuned.py", photo_px=photos.train.images.shape[-1])
    write_page(found, report, photos.train.images[:3], px, out)
    return found
