"""Make the pictures of the gallery, from bundled photos and goodviews:mini: python docs/gallery/make.py"""

import tempfile
from pathlib import Path

from PIL import Image

from goodviews.hub import cli
from goodviews.hub.demo import chain

HERE = Path(__file__).parent
WIDEST_PX = 1200


def main() -> None:
    """Write the .jpg files beside this script."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "raccoons"  # the name is drawn above the labels
        out.mkdir()
        chain.lay_out_photos(out)
        photos = out / "photos"
        _views(out, "views", "infomin_demo", photos / chain.VIEWED)
        clsa = out / "clsa_views.py"
        clsa.write_text(CLSA, encoding="utf-8")
        _views(out, "clsa", f"{clsa}:clsa", photos / chain.VIEWED)
        index = ["--encoder", chain.MINI, "--images", str(photos / "train"), "--out", str(out / "index")]
        cli.run(["index", "build", *index])
        for name, query in (("neighbours", chain.QUERIES["raccoon"]), ("blood", chain.QUERIES["blood"])):
            cli.run(
                [
                    "search",
                    str(out / "index"),
                    str(photos / query),
                    "--encoder",
                    chain.MINI,
                    "--out",
                    str(out / f"{name}.png"),
                ]
            )
            _shrink(out / f"{name}.png")
        drawn = ["--check", "--draw", str(out / "labels.png")]
        cli.run(["transfer", chain.DETECTION, "--data", str(out / "VOCdevkit"), *drawn])
        _shrink(out / "labels.png", highest_px=1120)


CLSA = """
from dataclasses import replace
from goodviews.pretrain.recipes.clsa import clsa_200
def clsa():
    views = tuple(replace(view, crop=replace(view.crop, px=96)) for view in clsa_200().views)
    return replace(clsa_200(), views=views)
"""


def _views(out: Path, name: str, recipe: str, photo: Path) -> None:
    cli.run(["views", "show", recipe, "--image", str(photo), "--out", str(out / f"{name}.png"), "--count", "6"])
    _shrink(out / f"{name}.png")


def _shrink(picture: Path, highest_px: int = 4000) -> None:
    image = Image.open(picture).convert("RGB")
    image.thumbnail((WIDEST_PX, 4000))
    image = image.crop((0, 0, image.width, min(image.height, highest_px)))
    image.save(HERE / f"{picture.stem}.jpg", quality=82)


if __name__ == "__main__":
    main()
