"""VOC07 classification as most papers report it: linear classifiers on frozen features, mean average precision over
classes.

    goodviews transfer voc07-map --encoder E --data VOCdevkit --out runs/voc07-map

Trained on VOC2007 trainval, tested on test; a photo whose only objects of a class are difficult is a negative in
training and left out of that class's test. Published with SVMs, ResNet-50 (OpenSelfSup): random 30.5, supervised 87.2,
MoCo 79.2, MoCo v2 84.3, BYOL 86.6. They differ from this task in their features, 2 x 2 pooled (8192 numbers) and taken
from the best stage; here the pooled output, as PCL takes it. Measured here: not yet.

CLSA's figure for VOC07 is no such mean; see `voc07_clsa.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...hub.comparison.resamples import draw_images, write_resamples
from ...hub.files.csv_tables import write_csv
from ...hub.scoring.average_precision import class_average_precision
from ..evaluation.matches import DRAWS
from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .measurement import UNIT_FEATURES
from .voc07_labels import LAYOUT, LabelledPhotos, check_labels, read_labels

if TYPE_CHECKING:
    from torch import Tensor

    from ...hub.photo_encoder import PhotoEncoder


@name_after_function
def voc07_map() -> Task:
    """A linear SVM for each class, its C by cross-validation."""
    return _task(VocMap())


@name_after_function
def voc07_map_logistic() -> Task:
    """A logistic regression for each class, its C by cross-validation."""
    return _task(VocMap(loss="logistic", positive_weight=1.0))


@dataclass(frozen=True)
class VocMap:
    """The settings of `voc07-map`; C and the folds are mmselfsup's."""

    c: tuple[float, ...] = (*(2.0**power for power in range(-19, -3)), 1.0, 10.0, 100.0)  # one: no cross-validation
    folds: int = 3
    positive_weight: float = 2.0
    loss: Literal["squared hinge", "logistic"] = "squared hinge"

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; leaves scores.csv and resamples.csv, and in the details the precision and C of each class.

        Raises:
            DataError: the data is not VOC2007's layout, or a photo is damaged.
            UsageError: no C is given, or a setting is not above 0.
        """
        import torch

        from .linear_svm import fit_classes

        require_above_zero(self, "c", "positive_weight", "folds")
        voc = read_labels(data, train=("trainval",), test="test")
        train, test = voc.splits["trainval"], voc.splits["test"]
        vectors, test_vectors = (_unit_features(encoder, part, setup) for part in (train, test))
        signs = torch.from_numpy(np.where(train.present, 1.0, -1.0)).to(vectors)
        weights = torch.where(signs > 0, self.positive_weight, 1.0)
        c = self._choose_c(vectors, signs, weights)
        scores = fit_classes(vectors, signs, weights, c, loss=self.loss)(test_vectors).cpu().numpy()
        precisions = _average_precisions(scores, test)
        per_class = {name: 100 * one for name, one in zip(voc.classes, precisions) if not np.isnan(one)}
        _write_scores(folder / "scores.csv", voc.classes, test, scores)
        draws = _mean_precisions_of_draws(scores, test)
        write_resamples(folder / "resamples.csv", len(test), ["mAP"], draws[:, None])
        low, high = np.percentile(draws, [2.5, 97.5]).tolist()
        return Measurement(
            metrics={"mAP": float(np.mean(list(per_class.values()))), "mAP_low": low, "mAP_high": high},
            dataset=voc.dataset,
            engine=f"torch {torch.__version__}",
            details={"AP_of_class": per_class, "C_of_class": dict(zip(voc.classes, c.tolist())), **voc.copies},
        )

    def _choose_c(self, vectors: Tensor, signs: Tensor, weights: Tensor) -> Tensor:
        """(C,) the C of each class; of equally good ones the smallest."""
        import torch

        from .linear_svm import fit_classes

        rising = sorted(self.c)
        precisions = np.zeros((len(rising), signs.shape[1]))
        fold_of = _stratified_folds(signs.cpu().numpy() > 0, self.folds)
        for fold in range(self.folds if len(rising) > 1 else 0):
            out = fold_of == fold
            in_weights = weights * torch.from_numpy(~out).to(weights)
            layer = None
            for place, c in enumerate(rising):
                layer = fit_classes(
                    vectors, signs, in_weights, vectors.new_full(signs.shape[1:], c), loss=self.loss, start=layer
                )
                precisions[place] += _out_of_fold_precisions(layer(vectors).cpu().numpy(), signs.cpu().numpy() > 0, out)
        return vectors.new_tensor([rising[place] for place in precisions.argmax(axis=0)])


def _task(measure: VocMap) -> Task:
    return Task(
        fine_tuned="a linear layer",
        metric="mean average precision over classes, %",
        primary="mAP",
        layout=LAYOUT.replace("train,val", "trainval"),
        measure=measure,
        check=lambda measure, data, values: check_labels(data, train=("trainval",), test="test", values=values),
        takes_exported=True,
        description={
            "features": UNIT_FEATURES,
            "split": "trained on VOC2007 trainval, tested on test",
            "difficult": "negative in training, left out of the class's test",
            "selection": "C for each class by average precision over stratified folds",
            "interval": "95 % bootstrap over test photos",
            "scoring": "area under the monotone precision-recall curve, mean over classes",
        },
    )


def _unit_features(encoder: PhotoEncoder, part: LabelledPhotos, setup: Setup) -> Tensor:
    import torch.nn.functional as F

    from .features import photo_features

    return F.normalize(photo_features(encoder, part.paths, setup), dim=1)


def _stratified_folds(present: np.ndarray, folds: int) -> np.ndarray:
    """(N, C) the fold in which a photo is held out for a class; positives and negatives are spread alike."""
    fold_of = np.zeros(present.shape, int)
    for column in range(present.shape[1]):
        for rows in (np.flatnonzero(present[:, column]), np.flatnonzero(~present[:, column])):
            fold_of[rows, column] = np.arange(len(rows)) * folds // max(len(rows), 1)
    return fold_of


def _out_of_fold_precisions(scores: np.ndarray, present: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(C,) average precision on the photos held out; 0 for a class that none of them shows."""
    rows = [np.flatnonzero(column) for column in out.T]
    precisions = [
        class_average_precision(scores[some, k], present[some, k], envelope=False) for k, some in enumerate(rows)
    ]
    return np.nan_to_num(np.array(precisions))


def _average_precisions(scores: np.ndarray, test: LabelledPhotos, times: np.ndarray | None = None) -> list[float]:
    """One for each class, NaN where no test photo counts; photo n counts `times[n]` times, by default once."""
    counts = np.ones(len(test), int) if times is None else times
    rows = [np.flatnonzero(~column) for column in test.difficult.T]
    return [
        class_average_precision(scores[some, k], test.present[some, k], times=counts[some])
        for k, some in enumerate(rows)
    ]


def _mean_precisions_of_draws(scores: np.ndarray, test: LabelledPhotos) -> np.ndarray:
    """(DRAWS,) percent: mAP on draws of the test photos, the same for every encoder; 0 where none has an object."""
    tables = [np.array(_average_precisions(scores, test, times)) for times in draw_images(len(test), DRAWS)]
    return np.array([100 * float(np.nanmean(one)) if not np.isnan(one).all() else 0.0 for one in tables])


def _write_scores(path: Path, classes: tuple[str, ...], test: LabelledPhotos, scores: np.ndarray) -> None:
    """One line a test photo: its name and a score for each class, with all digits of float32."""
    rows = zip(test.paths, scores)
    write_csv(path, ["photo", *classes], ([photo.stem, *(f"{value:.9g}" for value in row)] for photo, row in rows))
