"""Average precision of rankings by score: of an image's labels, of a class's images. Equal scores share a rank."""

import numpy as np


def label_average_precisions(scores: np.ndarray, present: np.ndarray) -> np.ndarray:
    """How well each image ranks its own labels: (N,) average precisions, 0-1, and 0 for an image without a label.

    Args:
        scores: (N, C).
        present: (N, C) bool.

    Source: scikit-learn's `average_precision_score` of each row, as CLSA's script uses it.
    """
    before = scores[:, None, :] >= scores[:, :, None]  # (N, C, C): label k stands at or before label j
    precision = (before & present[:, None, :]).sum(axis=2) / before.sum(axis=2)
    found: np.ndarray = (precision * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return found


def class_average_precision(
    scores: np.ndarray, present: np.ndarray, *, times: np.ndarray | None = None, envelope: bool = True
) -> float:
    """How well a class ranks the images: the area under its precision-recall curve, 0-1; NaN without an image of it.

    Args:
        scores: (N,).
        present: (N,) bool.
        times: (N,) how often each image counts, as in a draw of images; by default once.
        envelope: interpolate: the precision at a recall is the best at that recall or beyond, as in VISSL and
            mmselfsup; False takes the curve as it is, as scikit-learn does.
    """
    counts = np.ones(len(scores), int) if times is None else times
    positives = int(counts @ present)
    if not positives:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_rank = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum((counts * present)[order])[last_of_rank]
    precision = found / np.maximum(np.cumsum(counts[order])[last_of_rank], 1)
    if envelope:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(found, prepend=0) * precision).sum() / positives)
