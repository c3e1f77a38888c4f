"""Loaders with workers run where a process may open few files: batches leave a worker as one piece."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LIMITED = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from goodviews.hub.pretrained import from_pretrained
from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data.loader import ViewLoader
from goodviews.pretrain.recipes.registry import choose
from goodviews.transfer.classification.training_images import TrainingImages, crop_and_flip
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.photo_table import pack
from goodviews.transfer.detection import photo_batches
from goodviews.transfer.detection.voc import voc_detection_smoke

source = open_folder(Path(sys.argv[1]))
few = {"batch_size": 100, "seed": 0, "workers": 2}
encoder = from_pretrained("random:resnet18-w0.25-32px")
transform = crop_and_flip(encoder.preprocessing, scale=(0.5, 1.0))
views = choose("moco_v2_smoke").views
thing = LabelledObject("red", (1.0, 1.0, 20.0, 20.0))
photos = pack(LabelledPhoto(path.name, path, 32, 24, (thing,)) for path in source.all_paths())
settings = replace(voc_detection_smoke().measure, batch_size=100, short_sides_px=(24,))
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

def detection():
    return photo_batches.batches(photos, ["red"], settings, seed=0, stop=2, workers=2)

readers = {
    "probe": lambda: sum(len(batch) for batch, _ in TrainingImages(source.all_paths(), transform, **few).epoch(0)),
    "encode": lambda: len(encoder.encode(source.all_paths(), batch_size=100, workers=2)),
    "pretraining": lambda: sum(len(batch.samples) for batch in ViewLoader(source, views, **few).epoch(0)),
    "detection": lambda: sum(map(len, detection())),
}
for name in sys.argv[2:]:
    print(name, readers[name](), flush=True)
"""
READERS = ("probe", "encode", "pretraining", "detection")


@pytest.mark.slow
def test_batches_larger_than_the_limit_of_open_files_are_read(tmp_path: Path):
    noise = np.random.default_rng(0)
    for number in range(200):
        path = tmp_path / ("one", "other")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (24, 32, 3)).astype("uint8")).save(path)
    words = [sys.executable, "-c", LIMITED, str(tmp_path), *READERS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [f"{name} 200" for name in READERS]
