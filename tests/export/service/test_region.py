"""The vector of a region, worked out by hand on made-up feature maps."""

import numpy as np
import pytest
from PIL import Image

from goodviews.export.service.networks import Network
from goodviews.export.service.region import Box, crop, region_vector
from goodviews.hub.encoder import Encoder
from goodviews.hub.preprocessing import Preprocessing
from goodviews.hub.web import Refusal

PREPROCESSING = Preprocessing(input_px=64, mean=(0, 0, 0), std=(1, 1, 1))


def mean_colours(pixels: np.ndarray) -> np.ndarray:
    """A feature map that is the average colour of each cell of 32 px."""
    _, _, height, width = pixels.shape
    cut = pixels[:, :, : height // 32 * 32, : width // 32 * 32]
    return cut.reshape(1, 3, height // 32, 32, width // 32, 32).mean(axis=(3, 5))


@pytest.fixture
def halves() -> Image.Image:
    """Red at the left, blue at the right."""
    photo = Image.new("RGB", (256, 128), "red")
    photo.paste("blue", (128, 0, 256, 128))
    return photo


def test_a_box_over_one_colour_has_that_colours_vector(halves: Image.Image):
    red = region_vector(mean_colours, halves, Box(0, 0, 0.5, 1), PREPROCESSING)
    blue = region_vector(mean_colours, halves, Box(0.5, 0, 0.5, 1), PREPROCESSING)
    np.testing.assert_allclose(red, [1, 0, 0], atol=0.02)
    np.testing.assert_allclose(blue, [0, 0, 1], atol=0.02)


def test_a_box_over_both_has_the_average_of_unit_length(halves: Image.Image):
    both = region_vector(mean_colours, halves, Box(0.25, 0.25, 0.5, 0.5), PREPROCESSING)
    np.testing.assert_allclose(both, [0.5**0.5, 0, 0.5**0.5], atol=0.02)


def test_what_the_network_sees_stays_small_whatever_the_box():
    seen: list[tuple[int, ...]] = []

    def record(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels.shape)
        return np.ones((1, 4, max(1, pixels.shape[2] // 32), max(1, pixels.shape[3] // 32)), np.float32)

    photo = Image.new("RGB", (6000, 40))
    for box in (Box(0, 0, 1, 1), Box(0, 0, 1, 0.2), Box(0.5, 0, 0.001, 1), Box(0, 0, 0.001, 0.2)):
        vector = region_vector(record, photo, box, PREPROCESSING)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert all(32 <= side <= 6 * 64 for shape in seen for side in shape[2:])


@pytest.mark.parametrize("box", [Box(0, 0, 0, 1), Box(0.9999, 0, 0.5, 1), Box(0, 0, 0.01, 0.01)])
def test_a_box_that_shows_nothing_is_refused(halves: Image.Image, box: Box):
    with pytest.raises(Refusal, match="draw it larger"):
        region_vector(mean_colours, halves, box, PREPROCESSING)


def test_a_crop_is_the_box_alone(halves: Image.Image):
    part = crop(halves, Box(0.5, 0.5, 0.25, 0.5))
    assert part.size == (64, 64)
    assert part.getcolors() == [(64 * 64, (0, 0, 255))]


def test_the_map_of_an_averaging_encoder_is_used_and_agrees_with_its_vectors(mini: Encoder, gallery):
    network = Network(mini)
    assert network.region_method == "feature map"
    photo = Image.open(gallery[0]).convert("RGB")
    np.testing.assert_allclose(network.embed([network.prepare(photo)]), mini.encode([photo]), atol=1e-5)
