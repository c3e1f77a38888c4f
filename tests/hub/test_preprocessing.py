"""Photos become the network's input with numpy and Pillow alone, as timm makes it."""

import numpy as np
import pytest

from goodviews.export.onnx.trial_photos import SIZES, trial_photos
from goodviews.hub import Encoder, Preprocessing
from goodviews.hub.preprocessing import prepare_pixels, resized_size


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.95, 1.0])
def test_pixels_are_prepared_bit_for_bit_as_by_timm(encoder: Encoder, interpolation, crop_pct: float):
    preprocessing = Preprocessing(input_px=96, crop_pct=crop_pct, interpolation=interpolation)
    reference = Encoder(encoder.backbone, preprocessing, encoder.origin)
    for image in trial_photos()[: len(SIZES)]:
        np.testing.assert_array_equal(prepare_pixels(image, preprocessing), reference.preprocess(image).numpy())


def test_the_shorter_side_is_resized_and_the_longer_one_follows_rounded_down():
    assert resized_size((500, 333), Preprocessing(224, 0.875)) == (384, 256)
    assert resized_size((97, 41), Preprocessing(64, 1.0)) == (151, 64)
