"""The blur that CPUs use, against the sums it stands for."""

import pytest
import torch

from goodviews.pretrain.views import blur, cpu_blur


@pytest.mark.parametrize(("images", "px"), [(1, 224), (5, 64), (40, 17)])
def test_boxes_on_a_cpu_equal_the_plain_sums_bit_by_bit(images: int, px: int):
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, px, px), dtype=torch.uint8)
    pixels[0] = (pixels[0] > 127) * 255
    for least, most in ((0.1, 0.2), (0.1, 2.0), (2.0, 4.0)):
        weights = blur.box_weights(torch.rand(images, dtype=torch.float64) * (most - least) + least)
        assert torch.equal(cpu_blur.boxes(pixels, weights), blur.blur_by_boxes(pixels, weights))
