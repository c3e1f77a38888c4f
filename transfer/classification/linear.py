"""The linear probe on frozen features, fitted to convergence, on any train/val image folder.

    goodviews transfer linear --encoder E --data DIR --out runs/linear

Each image is seen once, as the encoder's own preprocessing shows it (input size included: it belongs to the encoder,
and the report's details give it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .check_images import check_images
from .measurement import LAYOUT, WILSON, measurement

if TYPE_CHECKING:
    from ...hub.photo_encoder import PhotoEncoder


@name_after_function
def linear() -> Task:
    """Logistic regression on the frozen features, fitted to convergence, its penalty chosen on a held-out part.

    See `hub/scoring/linear.py` for why not the published SGD settings.
    """
    return Task(
        fine_tuned="a linear layer",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=LinearProbe(),
        takes_exported=True,
        description={
            "classifier": "multinomial logistic regression",
            "optimizer": "L-BFGS with strong Wolfe line search, from zero, float32",
            "selection": "l2 by top-1 on the held-out share of each training class, then refitted on all",
            "features": "pooled, standardised by train, no augmentation; unit vectors of an exported encoder",
            "interval": WILSON,
        },
    )


@dataclass(frozen=True)
class LinearProbe:
    """The settings of `linear`."""

    l2: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00001)
    held_out: float = 0.2
    max_steps: int = 200

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the details hold the chosen penalty as `chosen_l2`."""
        from ...hub.scoring.linear import fit_probe
        from .features import as_exported, frozen_features

        require_above_zero(self, "l2", "max_steps")
        frozen = frozen_features(encoder, data, setup)
        layer, chosen = fit_probe(
            frozen.train.vectors,
            frozen.train.labels,
            classes=len(frozen.classes),
            l2=self.l2,
            held_out=self.held_out,
            max_steps=self.max_steps,
            seed=setup.seed,
        )
        return measurement(
            encoder,
            frozen,
            layer(frozen.test.vectors),
            folder,
            run_settings=as_exported(encoder),
            details={"chosen_l2": chosen},
        )
