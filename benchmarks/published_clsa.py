"""The published CLSA views, one PIL image at a time: the yardstick of our batched operations, for speed and pixels.

Written from a description of CLSA's pipeline (five sizes, the 14 operations of FixMatch's pool drawn five times) with
PIL and torchvision operations.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor
from torchvision import transforms

CROPS = ((224, (0.2, 1.0)), (192, (0.172, 0.86)), (160, (0.143, 0.715)), (128, (0.114, 0.571)), (96, (0.086, 0.429)))
STRONG_NAMES = (
    *("auto_contrast", "brightness", "color", "contrast", "equalize", "identity", "posterize", "rotate"),
    *("sharpness", "shear_x", "shear_y", "solarize", "translate_x", "translate_y"),
)
_ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}


def published_views() -> Callable[[Image.Image], list[Tensor]]:
    """Photo to key, five weak and five strong crops, each (3, px, px), normalised."""
    pipelines = [_pipeline(*CROPS[0], strong=False)]
    pipelines += [_pipeline(*crop, strong=strong) for strong in (False, True) for crop in CROPS]
    return lambda photo: [pipeline(photo) for pipeline in pipelines]


def strong_operation(name: str, image: Image.Image, v: int, sign: int) -> Image.Image:
    """One of the fourteen operations at a magnitude of 1-9; the sign matters to geometry only."""
    if name in _ENHANCERS:
        return _ENHANCERS[name](image).enhance(v * 0.9 / 10 + 0.05)
    if name == "rotate":
        return image.rotate(sign * int(v * 30 / 10))
    if name in ("shear_x", "shear_y"):
        amount = sign * v * 0.3 / 10
        matrix = (1, amount, 0, 0, 1, 0) if name == "shear_x" else (1, 0, 0, amount, 1, 0)
        return image.transform(image.size, Image.Transform.AFFINE, matrix)
    if name in ("translate_x", "translate_y"):
        across = name == "translate_x"
        pixels = sign * int(v * 0.3 / 10 * image.size[0 if across else 1])
        matrix = (1, 0, pixels, 0, 1, 0) if across else (1, 0, 0, 0, 1, pixels)
        return image.transform(image.size, Image.Transform.AFFINE, matrix)
    return {
        "auto_contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "identity": lambda: image,
        "posterize": lambda: ImageOps.posterize(image, int(v * 4 / 10) + 4),
        "solarize": lambda: ImageOps.solarize(image, 256 - int(v * 256 / 10)),
    }[name]()


def random_strong_policy(image: Image.Image) -> Image.Image:
    """Five draws with replacement, each applied half of the time."""
    for name in random.choices(STRONG_NAMES, k=5):
        v = random.randint(1, 9)
        if random.random() < 0.5:
            image = strong_operation(name, image, v, random.choice((-1, 1)))
    return image


def _pipeline(px: int, scale: tuple[float, float], *, strong: bool) -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(px, scale),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(0.2),
            transforms.RandomApply([_random_blur], p=0.5),
            transforms.RandomHorizontalFlip(),
            *([random_strong_policy] if strong else []),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def _random_blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))
