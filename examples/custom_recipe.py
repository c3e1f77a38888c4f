"""A recipe of one's own, run from Python: MoCo v2 with milder colours, for photos that colour tells apart.

    python examples/custom_recipe.py OUT [PHOTOS]

The command line takes the same function: goodviews pretrain examples/custom_recipe.py:mild_colours --data DIR --out RUN
"""

import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from goodviews.hub import from_pretrained
from goodviews.pretrain import Options, Recipe, pretrain
from goodviews.pretrain.recipes.moco import moco_v2_smoke
from goodviews.pretrain.views.operations import ColorJitter, Grayscale

BUNDLED = Path(str(files("goodviews.hub"))) / "photos" / "train"


def mild_colours() -> Recipe:
    """Seconds on a CPU; take moco_v2_imagenette_cpu in place of the smoke recipe to learn something."""
    recipe = moco_v2_smoke()
    views = tuple(replace(view, program=tuple(map(milder, view.program))) for view in recipe.views)
    return replace(recipe, views=views, epochs=1)


def milder(operation):
    """A quarter of the colour change, and gray never."""
    if isinstance(operation, ColorJitter):
        return replace(operation, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02)
    return replace(operation, p=0.0) if isinstance(operation, Grayscale) else operation


def main(out: Path, photos: Path = BUNDLED) -> Path:
    """Train and load the encoder again; returns its folder."""
    folder = pretrain(
        mild_colours().with_name("mild_colours"), photos, out / "run", Options(knn_every=0, precision="fp32")
    )
    encoder = from_pretrained(folder)
    print(f"{folder}: {encoder.architecture}, {encoder.num_features} features")
    return folder


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
