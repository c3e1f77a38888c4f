"""The published InfoMin views, one PIL image at a time: the yardstick of our batched operations, for speed and pixels.

Written from a description of PyContrast's pipeline ("aug D" and the jigsaw branch) with PIL and torchvision operations.
"""

import random
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import functional as TF

FILL = (124, 116, 104)
IMAGENET = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def published_views() -> Callable[[Image.Image], tuple[Tensor, Tensor, Tensor]]:
    """Photo to query and key (3, 224, 224) and jigsaw patches (9, 3, 64, 64), all normalised."""
    crop = transforms.Compose(
        [
            transforms.RandomResizedCrop(224, (0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
            transforms.RandomApply([_random_conv_blur], p=0.5),
            random_rand_augment,
            transforms.RandomGrayscale(0.2),
            transforms.ToTensor(),
            IMAGENET,
        ]
    )
    whole = transforms.Compose([transforms.RandomResizedCrop(255, (0.6, 1.0)), transforms.RandomHorizontalFlip()])
    return lambda photo: (crop(photo), crop(photo), _random_jigsaw(whole(photo)))


def conv_blur(image: Image.Image, sigma: float, radius: int = 11) -> Image.Image:
    """Separable Gaussian on values 0-1, edges mirrored; conversion back to 8 bits cuts."""
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    weights = torch.from_numpy(taps / taps.sum()).float().repeat(3, 1)
    values = F.pad(TF.to_tensor(image)[None], (radius,) * 4, mode="reflect")
    values = F.conv2d(values, weights.view(3, 1, -1, 1), groups=3)
    values = F.conv2d(values, weights.view(3, 1, 1, -1), groups=3)
    return TF.to_pil_image(values[0].clamp_(max=1))


def rand_augment_operation(name: str, image: Image.Image, magnitude: float, sign: int, resample: int) -> Image.Image:
    """One of the fifteen operations at a magnitude of 0-10; sign and resampling matter to geometry only."""
    share, factor = magnitude / 10, magnitude / 10 * 1.8 + 0.1
    if name in _ENHANCERS:
        return _ENHANCERS[name](image).enhance(factor)
    if name == "rotate":
        return image.rotate(sign * 30 * share, resample=resample, fillcolor=FILL)
    if name in ("shear_x", "shear_y", "translate_x", "translate_y"):
        matrix = [1, 0, 0, 0, 1, 0]
        across = name.endswith("x")
        side = image.width if across else image.height
        amount = sign * share * (0.3 if name.startswith("shear") else 0.45 * side)
        matrix[(1 if across else 3) if name.startswith("shear") else (2 if across else 5)] = amount
        return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=FILL)
    return {
        "auto_contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "posterize": lambda: ImageOps.posterize(image, int(share * 4)),
        "solarize": lambda: ImageOps.solarize(image, int(share * 256)),
        "solarize_add": lambda: image.point([min(255, v + int(share * 110)) if v < 128 else v for v in range(256)] * 3),
    }[name]()


_ENHANCERS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}
RAND_AUGMENT_NAMES = (
    *("auto_contrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add"),
    *("color", "contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y"),
)


def random_rand_augment(image: Image.Image) -> Image.Image:
    """Two draws with replacement, each applied half of the time."""
    for name in random.choices(RAND_AUGMENT_NAMES, k=2):
        if random.random() < 0.5:
            magnitude = min(10.0, max(0.0, random.gauss(10, 0.5)))
            resample = random.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC))
            image = rand_augment_operation(name, image, magnitude, random.choice((-1, 1)), resample)
    return image


def _random_conv_blur(image: Image.Image) -> Image.Image:
    return conv_blur(image, random.uniform(0.1, 2.0))


def _random_jigsaw(image: Image.Image) -> Tensor:
    cell = image.width // 3
    patches = []
    for row, column in product(range(3), repeat=2):
        left, top = column * cell + random.randint(0, cell - 64), row * cell + random.randint(0, cell - 64)
        patches.append(IMAGENET(TF.to_tensor(image.crop((left, top, left + 64, top + 64)))))
    return torch.stack(patches)
