"""Files beside the embedding: the feature maps of an encoder, and a fine-tuned classifier with its class names."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...hub.encoder import Encoder
from ...hub.errors import ArtifactError
from ...hub.onnx_classifier import CLASSIFIER_FILE
from ...hub.onnx_encoder import METADATA_KEY
from ...hub.onnx_runtimes import open_session
from ...hub.preprocessing import prepare_pixels
from .classifier_folder import read_classifier
from .graphs import STAGES, ImageToPixels, PixelsToClasses, PixelsToMaps
from .write import ExportFailed, join, save, trace_image, trace_pixels

MAPS_FILE = "feature_maps.onnx"
MAPS_LIMIT = 1e-4  # of the largest value of a stage
CLASSES_LIMIT = 1e-2  # of a probability; the resize rounds otherwise than Pillow here and there


def write_feature_maps(encoder: Encoder, folder: Path, note: dict[str, Any], photos: Sequence[Image.Image]) -> str:
    """feature_maps.onnx: normalised (N, 3, H, W) pixels -> res2, res3, res4, res5.

    Raises:
        ExportFailed: a stage differs from PyTorch's.
        UsageError: the network has no four stages.
    """
    px = encoder.preprocessing.input_px
    batch = np.stack([prepare_pixels(photo, encoder.preprocessing) for photo in photos[:4]])
    with torch.inference_mode():
        expected = encoder.feature_maps(torch.from_numpy(batch))
    model = trace_pixels(PixelsToMaps(encoder), px, STAGES)
    note = note | {"input": "pixels", "output": "feature_maps"}
    save(model, folder / MAPS_FILE, note)
    found = _run(folder / MAPS_FILE, batch)
    for stage, ours in zip(STAGES, found):
        theirs = expected[stage].numpy()
        distance = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        if not distance <= MAPS_LIMIT:
            raise ExportFailed(
                f"{MAPS_FILE}: {stage} is {distance:.2g} of its largest value away from PyTorch, where at most "
                f"{MAPS_LIMIT:g} is allowed; nothing was written. Please report it as an issue."
            )
    return MAPS_FILE


def write_classifier(head: Path, folder: Path, note: dict[str, Any], photos: Sequence[Image.Image]) -> str:
    """classifier.onnx: uint8 photos of any one size -> probabilities of the classes that its metadata names.

    Raises:
        ArtifactError: the folder holds no classifier.
        ExportFailed: the probabilities differ from PyTorch's.
    """
    classifier = read_classifier(head)
    p = classifier.preprocessing
    network = trace_pixels(PixelsToClasses(classifier.network), p.input_px, ["classes"])
    model = join(trace_image(ImageToPixels(p), p.input_px), network)
    about = {"name": head.resolve().name, "architecture": classifier.architecture, "preprocessing": asdict(p)}
    encoderless = {name: value for name, value in note.items() if name != "encoder"}
    described = encoderless | {"input": "image", "output": "classes", "classes": classifier.classes}
    save(model, folder / CLASSIFIER_FILE, described | {"classifier": about})
    largest = max(_classes_distance(classifier.network, p, folder / CLASSIFIER_FILE, photo) for photo in photos)
    if not largest <= CLASSES_LIMIT:
        raise ExportFailed(
            f"{CLASSIFIER_FILE}: a probability is {largest:.2g} away from PyTorch's, where at most {CLASSES_LIMIT:g} "
            "is allowed; nothing was written. Please report it as an issue."
        )
    return CLASSIFIER_FILE


def _classes_distance(network: torch.nn.Module, preprocessing: Any, path: Path, photo: Image.Image) -> float:
    pixels = torch.from_numpy(prepare_pixels(photo, preprocessing))[None]
    with torch.inference_mode():
        expected = network(pixels).softmax(dim=1).numpy()
    return float(np.abs(_run(path, np.asarray(photo)[None])[0] - expected).max())


def _run(path: Path, batch: np.ndarray) -> list[np.ndarray]:
    try:
        session = open_session(
            path, METADATA_KEY, runtime="onnxruntime", threads=torch.get_num_threads(), providers=None
        )
    except ArtifactError as error:
        raise ExportFailed(f"{path.name} cannot be run ({error}); nothing was written.") from error
    return session.run(batch)
