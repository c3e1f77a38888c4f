"""The published MoCo v2 views, one PIL image at a time: the yardstick of our batched operations, for speed and pixels.

Written from a description of MoCo v2's pipeline with PIL and torchvision operations.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageFilter
from torch import Tensor
from torchvision import transforms


def published_views(px: int = 224) -> Callable[[Image.Image], tuple[Tensor, Tensor]]:
    """Photo to query and key, each (3, px, px), normalised."""
    pipeline = transforms.Compose(
        [
            transforms.RandomResizedCrop(px, (0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(0.2),
            transforms.RandomApply([_random_blur], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return lambda photo: (pipeline(photo), pipeline(photo))


def _random_blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))
