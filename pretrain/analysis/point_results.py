"""One point of a sweep with one seed: trained, scored, and written down as JSON."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...hub.files.atomic import write_json
from ...hub.files.json_files import Place, read_json
from ..randomness import step_seed
from .pairs import Augmented, Pairs, render
from .photo_arrays import PhotoSet, SplitPhotos
from .scores import Score, features, held_out_information, score_features
from .sweeps import Point, Sweep
from .trainer import Trained, train_pair


@dataclass(frozen=True)
class PointResult:
    """What came out of one point and seed.

    information: I_NCE of each held-out block, in nats. loss: of the end of the training, in nats.
    """

    point: str
    seed: int
    information: tuple[float, ...]
    negatives: int
    loss: float
    scores: Mapping[str, Score]
    training_s: float
    seconds: float

    def save(self, path: Path) -> None:
        """Write the file, whole."""
        write_json(path, asdict(self))


def load_result(path: Path) -> PointResult:
    """Read what `save` wrote."""
    content: dict[str, Any] = read_json(Place(path, "delete it and give the command again"))
    scores = {name: Score(**score) for name, score in content["scores"].items()}
    return PointResult(**{**content, "information": tuple(content["information"]), "scores": scores})


def compute_point(sweep: Sweep, point: Point, photos: SplitPhotos, *, seed: int) -> PointResult:
    """Train the point's network and score it.

    Raises:
        Diverged: the training became NaN or infinite.
    """
    start_s = time.perf_counter()
    trained = train_pair(point.pairs, photos.train, point.training, seed=seed)
    blocks, negatives = held_out_information(trained.network, point.pairs, photos.test, seed=seed)
    train, test = (features(trained.network, point.pairs, part.images) for part in (photos.train, photos.test))
    scores = dict(score_features(train, test, photos))
    if sweep.scores_head:
        scores |= _scores_after_head(trained, point.pairs, photos)
    if sweep.scores_rotation:
        scores |= _rotation_scores(trained, point.pairs, photos)
    if sweep.scores_strong:
        scores |= _strong_scores(trained, point.pairs, train, photos, seed)
    seconds = time.perf_counter() - start_s
    return PointResult(
        point.name, seed, tuple(blocks), negatives, trained.loss, scores, training_s=trained.seconds, seconds=seconds
    )


def _scores_after_head(trained: Trained, pairs: Pairs, photos: SplitPhotos) -> dict[str, Score]:
    """Of what is contrasted, instead of the features below it."""
    train, test = (
        features(trained.network, pairs, part.images, after_head=True) for part in (photos.train, photos.test)
    )
    return {f"{name}, after the head": score for name, score in score_features(train, test, photos)}


def _rotation_scores(trained: Trained, pairs: Pairs, photos: SplitPhotos) -> dict[str, Score]:
    """Of a linear probe that tells by how many quarter turns a photo was turned."""
    turned = SplitPhotos(turn(photos.train), turn(photos.test), {"rotation": 4}, photos.about)
    train, test = (features(trained.network, pairs, part.images) for part in (turned.train, turned.test))
    return {name: score for name, score in score_features(train, test, turned) if name.startswith("linear")}


def turn(photos: PhotoSet) -> PhotoSet:
    """The photos in turn as they are and turned by one, two and three quarters, which is their label."""
    quarters = torch.arange(len(photos)) % 4
    images = torch.empty_like(photos.images)
    for quarter in range(4):
        images[quarters == quarter] = photos.images[quarters == quarter].rot90(quarter, dims=(2, 3))
    return PhotoSet(images, {"rotation": quarters})


def _strong_scores(
    trained: Trained, pairs: Pairs, train: torch.Tensor, photos: SplitPhotos, seed: int
) -> dict[str, Score]:
    """Neighbours, among whole training photos, of test photos that are changed as strongly as the strong view."""
    assert isinstance(pairs, Augmented), "the sweep makes them"
    view = pairs.views[-1]
    generator = torch.Generator().manual_seed(step_seed(seed, 0, rank=2))
    with torch.no_grad():
        parts = [trained.network.features([render(view, part, generator)]) for part in photos.test.images.split(512)]
    found = score_features(train, torch.cat(parts), photos, probes=False)
    return {f"{name}, strong photos": score for name, score in found}
