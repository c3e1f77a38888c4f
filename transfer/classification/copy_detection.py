"""Copy detection: each altered photo is a query, and its one original must be found among the gallery's photos.

    goodviews transfer retrieval-copies --encoder E --data DIR --out runs/copies

DIR/queries.csv (query, target, change) names the original of each query, both relative to DIR, and how it was altered.
All other gallery photos are wrong answers. recall@k is the share of queries whose original is among the first k; mAP
here is the mean of 1 / rank. micro AP ranks all pairs of all queries together: it is high only if one threshold tells
copies from other photos for every query.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ..data_check import DataCheck
from ..task import Measurement, Setup, Task, name_after_function
from .measurement import UNIT_FEATURES, WILSON

if TYPE_CHECKING:
    from ...hub.photo_encoder import PhotoEncoder

LIST = "queries.csv"
LAYOUT = f"DIR/gallery/*.jpg, DIR/queries/*.jpg and DIR/{LIST} with the columns query,target,change"


@dataclass(frozen=True)
class CopyQuery:
    """An altered photo, its original, and how it was altered; paths from the data folder."""

    query: str
    target: str
    change: str


@dataclass(frozen=True)
class Copies:
    """A data folder: its queries, and the gallery, sorted."""

    root: Path
    queries: tuple[CopyQuery, ...]
    gallery: tuple[str, ...]

    def paths(self, names: Sequence[str]) -> list[Path]:
        return [self.root / name for name in names]


@name_after_function
def retrieval_copies() -> Task:
    """How often the original of an altered photo is the first that is found."""
    return Task(
        fine_tuned="nothing",
        metric="queries whose original is found first, %",
        primary="recall_at_1",
        layout=LAYOUT,
        check=check_copies,
        measure=CopyDetection(),
        takes_exported=True,
        description={
            "similarity": "cosine",
            "features": UNIT_FEATURES,
            "split": f"queries and their originals from {LIST}, gallery: DIR/gallery",
            "scoring": "rank of the one original; micro AP over all pairs of queries and gallery photos",
            "interval": WILSON.replace("test images", "queries"),
        },
    )


@dataclass(frozen=True)
class CopyDetection:
    """The settings of `retrieval-copies`; recall is reported among the first `at`, which holds 1."""

    at: tuple[int, ...] = (1, 10)

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the details hold recall@1 by change."""
        import torch
        import torch.nn.functional as F

        from ...hub.scoring.average_precision import class_average_precision
        from ...hub.scoring.intervals import wilson
        from ..data_digest import digest_of
        from .features import photo_features
        from .scoring import write_image_scores

        copies = read_copies(data)
        names = [one.query for one in copies.queries]
        queries = F.normalize(photo_features(encoder, copies.paths(names), setup), dim=1).cpu()
        gallery = F.normalize(photo_features(encoder, copies.paths(copies.gallery), setup), dim=1).cpu()
        place = {name: position for position, name in enumerate(copies.gallery)}
        target = torch.tensor([place[one.target] for one in copies.queries])
        similarities = queries @ gallery.T
        own = similarities.gather(1, target[:, None])
        rank = (similarities >= own).sum(dim=1)  # ties count against it: equal vectors are no success
        hits = {k: rank <= k for k in dict.fromkeys((1, *self.at))}
        pairs = torch.zeros_like(similarities, dtype=torch.bool).scatter_(1, target[:, None], True)
        micro = class_average_precision(similarities.flatten().numpy(), pairs.flatten().numpy(), envelope=False)
        low, high = wilson(int(hits[1].sum()), len(rank))
        each = {f"recall_at_{k}": 100.0 * hit.double() for k, hit in hits.items()} | {"mAP": 100 / rank.double()}
        write_image_scores(
            folder / "predictions.csv",
            names,
            [one.target for one in copies.queries],
            {metric: values.tolist() for metric, values in each.items()},
        )
        files = [data / LIST, *copies.paths(sorted({*names, *copies.gallery}))]
        return Measurement(
            metrics={
                **{metric: float(values.mean()) for metric, values in each.items()},
                "recall_at_1_low": 100 * low,
                "recall_at_1_high": 100 * high,
                "micro_AP": 100 * micro,
            },
            dataset={
                "name": data.resolve().name,
                "digest": digest_of(data, files),
                "test_images": len(names),
                "gallery_images": len(gallery),
            },
            engine=f"torch {torch.__version__}",
            details={
                "input_px": encoder.preprocessing.input_px,
                "recall_at_1_of_change": _by_change(copies.queries, hits[1].tolist()),
            },
        )


def read_copies(data: Path) -> Copies:
    """A data folder of `retrieval-copies`.

    Raises:
        DataError: it has another layout, or names photos that are not there.
    """
    from ...hub.files.csv_tables import read_csv
    from ...hub.sources.folders import find_images

    rows = read_csv(data / LIST)
    if rows is None:
        raise DataError(f"{data / LIST} is no table of queries; the layout is {LAYOUT}.")
    if not rows or not {"query", "target", "change"} <= rows[0].keys():
        raise DataError(f"{data / LIST} must have lines with the columns query, target and change.")
    queries = tuple(CopyQuery(row["query"], row["target"], row["change"]) for row in rows)
    gallery = tuple(path.relative_to(data).as_posix() for path in find_images(data / "gallery"))
    known = set(gallery)
    for one in queries:
        if one.target not in known:
            raise DataError(f"{data / LIST} names {one.target} as an original, which is not in {data / 'gallery'}.")
        if not (data / one.query).is_file():
            raise DataError(f"{data / LIST} names {one.query}, which is not in {data}.")
    return Copies(data, queries, gallery)


def check_copies(measure: Any, data: Path, values: Values | None = None) -> DataCheck:
    """For `Task.check`: that all photos are there and can be read.

    Raises:
        DataError: the folder has another layout.
    """
    from ...hub.images import read_image

    copies = read_copies(data)
    problems = []
    for path in copies.paths([*copies.gallery, *(one.query for one in copies.queries)]):
        try:
            read_image(path, values=values)
        except DataError as error:
            problems.append(str(error))
    changes = ", ".join(sorted({one.change for one in copies.queries}))
    summary = f"{len(copies.queries)} altered photos ({changes}) of {len(copies.gallery)} gallery photos"
    return DataCheck(summary, tuple(problems))


def _by_change(queries: Sequence[CopyQuery], hits: Sequence[bool]) -> dict[str, float]:
    found = defaultdict(list)
    for one, is_hit in zip(queries, hits):
        found[one.change].append(is_hit)
    return {change: 100 * sum(values) / len(values) for change, values in sorted(found.items())}
