"""The encoder: a backbone, the preprocessing it was trained for, and where it comes from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .backbone import features_of, takes_rgb
from .deep_pixels import Values
from .errors import DataError, UsageError
from .fingerprint import TOLERANCE, fingerprint, fingerprint_distance
from .identity import EncoderId
from .images import ImageLike, SkippedImages, as_photo, check_request, name_of, problem_with
from .output.progress import track
from .preprocessing import Preprocessing, middle
from .vectors import refuse_odd_vectors
from .weights import weights_sha256

Problem = tuple[int, str, str]  # position and name of an image, and why it cannot be read
Prepared = Tensor | Problem  # an image as the network takes it, or what is wrong


@dataclass(frozen=True)
class Origin:
    """Where the weights come from; everything here is JSON and goes into config.json."""

    name: str = "unnamed"
    recipe: dict[str, Any] | None = None
    dataset: dict[str, Any] | None = None
    epochs: float | None = None
    commit: str | None = None
    parent: str | None = None
    licence: str | None = None
    imported: dict[str, Any] | None = None  # whose file the weights were in: its name, sha256 and format
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What an encoder's folder says of its weights."""

    weights_sha256: str
    fingerprint: str


class Encoder(nn.Module):
    """A timm backbone without a classifier, and all it takes to use it on a photo.

    Args:
        backbone: a timm model made with num_classes=0.
        preprocessing: what its input must look like.
        origin: where its weights come from.
        recorded: what the folder it was read from says of them.
        half: its weights are float16 numbers, and are written and hashed as such; it computes in float32 all the same.

    Attributes:
        source: what `open_encoder` opens it by again; None for one that was made in memory.

    Raises:
        UsageError: the backbone is not a timm model, still has a classifier, or takes no RGB.
    """

    backend = "torch"
    is_exported = False
    backbone: Any  # timm's nn.Module, which types do not describe: pretrained_cfg, num_features, forward_intermediates

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing,
        origin: Origin,
        *,
        recorded: Recorded | None = None,
        half: bool = False,
    ):
        super().__init__()
        if not hasattr(backbone, "pretrained_cfg") or not hasattr(backbone, "num_features"):
            raise UsageError(f"An encoder's backbone must be a timm model; this is {type(backbone).__name__}.")
        if getattr(backbone, "num_classes", 0) != 0:
            raise UsageError(
                f"The backbone still classifies {backbone.num_classes} classes; make it with num_classes=0."
            )
        if not takes_rgb(backbone):
            raise UsageError("The backbone's input has other channels than R, G and B; an encoder takes photos in RGB.")
        self.backbone = backbone
        self.preprocessing = preprocessing
        self.origin = origin
        self.recorded = recorded
        self.half_weights = half
        self.source: str | None = None
        self.eval()

    @property
    def architecture(self) -> str:
        """timm's name, e.g. "resnet50"."""
        return str(self.backbone.pretrained_cfg["architecture"])

    @property
    def model_args(self) -> dict[str, Any]:
        """timm's arguments, beside the name, that build this network; JSON. Set by `build_backbone`."""
        return dict(getattr(self.backbone, "model_args", {}))

    @property
    def name(self) -> str:
        """For people: that of its origin."""
        return self.origin.name

    @property
    def num_features(self) -> int:
        """Numbers in a vector, such as 2048 of a ResNet-50."""
        return features_of(self.backbone)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @property
    def id(self) -> EncoderId:
        """Whose vectors it gives, its fingerprint computed now.

        Weights with the fingerprint that their folder records have the digest it records: a search hashes nothing.
        """
        found = fingerprint(self)
        recorded = self.recorded
        is_as_recorded = recorded is not None and fingerprint_distance(recorded.fingerprint, found) <= TOLERANCE
        weights = recorded.weights_sha256 if recorded is not None and is_as_recorded else self._weights_sha256()
        return replace(
            self._id_with(weights), dimension=self.num_features, preprocessing=self.preprocessing, fingerprint=found
        )

    def declare_values(self, values: Values | None) -> None:
        """Which values of photos of more than 8 bits are black and white; None changes nothing."""
        if values is not None:
            self.preprocessing = replace(self.preprocessing, values=values)

    def report_id(self) -> EncoderId:
        """Which weights a report is about; hashed now."""
        return self._id_with(self._weights_sha256())

    def _weights_sha256(self) -> str:
        return weights_sha256(self.backbone, half=self.half_weights)

    def _id_with(self, weights: str) -> EncoderId:
        return EncoderId(self.name, self.architecture, weights, (self.origin.recipe or {}).get("name"))

    def forward(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) normalised with `preprocessing` -> (N, F) pooled features, as the papers probe them."""
        features: Tensor = self.backbone(batch)
        return features

    def embed(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) normalised with `preprocessing` -> (N, F) float32, unit rows."""
        return F.normalize(self(batch).float(), dim=1)

    def feature_maps(self, batch: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> the four stages of a ResNet, "res2" at H/4 to "res5" at H/32.

        With the stem for photos of 32 px they are at H to H/8.

        Raises:
            UsageError: the backbone is no ResNet-like network with four stages.
        """
        if not all(hasattr(self.backbone, f"layer{i}") for i in range(1, 5)):
            raise UsageError(f"{self.architecture} has no four ResNet stages; feature_maps needs a ResNet or ResNeXt.")
        maps = self.backbone.forward_intermediates(batch, indices=[1, 2, 3, 4], intermediates_only=True)
        return dict(zip(("res2", "res3", "res4", "res5"), maps))

    @cached_property
    def transform(self) -> Any:
        """Pillow RGB image -> (3, input_px, input_px) normalised; timm's evaluation transform."""
        p = self.preprocessing
        return create_transform(
            (3, p.input_px, p.input_px), interpolation=p.interpolation, mean=p.mean, std=p.std, crop_pct=p.crop_pct
        )

    def preprocess(self, image: ImageLike) -> Tensor:
        """A path, Pillow image or (H, W, 3) uint8 array -> (3, input_px, input_px), normalised.

        Raises:
            DataError: the image cannot be read or is not an image.
        """
        pixels: Tensor = self.transform(middle(as_photo(image, values=self.preprocessing.values)))
        return pixels

    @torch.inference_mode()
    def encode(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int = 64,
        progress: bool = False,
        workers: int = 0,
        normalise: bool = True,
        skipped: SkippedImages | None = None,
    ) -> np.ndarray:
        """Photos to vectors, on the device the encoder is on.

        Args:
            images: paths, the bytes of image files, Pillow images or (H, W, 3) uint8 RGB arrays, in any mixture; what
                can be gone through once only, such as a generator, is made a list first.
            batch_size: images a forward pass.
            progress: show a bar.
            workers: processes that decode; 0 decodes in this one.
            normalise: unit rows; False gives the pooled features as they are.
            skipped: with a list given, an unreadable image is noted there (with its position) and its row left
                out; without one it is an error.

        Returns:
            (number of readable images, F) float32.

        Raises:
            ArtifactError: the features are NaN, infinite, or zero for every image.
            DataError: an image cannot be read and `skipped` is None.
            UsageError: `images` is no list, `batch_size` is below 1, or `workers` below 0.
        """
        images = check_request(images, batch_size, workers)
        was_training = self.training
        self.eval()
        rows = [np.empty((0, self.num_features), np.float32)]
        try:
            for inputs in self._batches(images, batch_size, workers, progress, skipped):
                features = self(inputs.to(self.device)).float()
                rows.append((F.normalize(features, dim=1) if normalise else features).cpu().numpy())
        finally:
            self.train(was_training)
        return refuse_odd_vectors(np.concatenate(rows), self.name)

    def push(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool = False,
        create_pr: bool = False,
        message: str | None = None,
        licence: str | None = None,
        token: str | None = None,
    ) -> str:
        """Publish this encoder as a Hub repository in one commit, e.g. `encoder.push("owner/name")`.

        Reports that were attached to a folder are published with the folder: `goodviews hub push FOLDER owner/name`.

        Args:
            repo: "owner/name"; made where it is missing.
            revision: the branch; "main" where none is named.
            private: whether a new repository is private.
            create_pr: leave the change as a pull request.
            message: of the commit.
            licence: of the weights, e.g. "cc-by-nc-4.0"; without it that of its origin.
            token: instead of HF_TOKEN.

        Returns:
            The address of the commit or of the pull request.

        Raises:
            ArtifactError: the Hub refuses, or cannot be reached.
            UsageError: the name is none.
        """
        from .remote.publish import push_encoder

        return push_encoder(
            self,
            repo,
            revision=revision,
            private=private,
            create_pr=create_pr,
            message=message,
            licence=licence,
            token=token,
        )

    def _batches(
        self,
        images: Sequence[ImageLike],
        batch_size: int,
        workers: int,
        progress: bool,
        skipped: SkippedImages | None,
    ) -> Iterator[Tensor]:
        loader = DataLoader(_Photos(images, self), batch_size, num_workers=workers, collate_fn=_stack)
        for inputs, problems in track(loader, "Encoding", is_shown=progress):
            for position, name, problem in problems:
                if skipped is None:
                    raise DataError(problem)
                skipped.add(name, problem, position)
            if inputs is not None:
                yield inputs


class _Photos(Dataset[Prepared]):
    """Preprocessed images by position; an unreadable one is (position, name, problem)."""

    def __init__(self, images: Sequence[ImageLike], encoder: Encoder):
        self.images, self.transform, self.values = images, encoder.transform, encoder.preprocessing.values

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Prepared:
        image = self.images[position]
        name = name_of(image, position)
        try:
            pixels: Tensor = self.transform(middle(as_photo(image, values=self.values, name=name)))
        except DataError as error:
            return position, name, problem_with(image, position, error)
        return pixels


def _stack(batch: list[Prepared]) -> tuple[Tensor | None, list[Problem]]:
    """A batch as one tensor, made in the worker: each tensor that leaves a worker takes a file descriptor."""
    inputs = [item for item in batch if isinstance(item, Tensor)]
    return torch.stack(inputs) if inputs else None, [item for item in batch if not isinstance(item, Tensor)]
