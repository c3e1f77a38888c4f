"""Make hub/mini, the encoder that ships, of the run that trained it: half precision, its data and its terms named.

python docs/results/bundle_mini.py runs/mini_colours --out hub/mini
"""

from dataclasses import replace
from pathlib import Path

import cyclopts

from goodviews.hub import from_pretrained
from goodviews.hub.encoder_folder import write_encoder
from goodviews.hub.files.atomic import new_folder, write_text
from goodviews.hub.files.overwrite import MARKER
from goodviews.hub.half_precision import halve

DATA = "train parts of imagenette224 and imagenette224-rest (ten classes of ImageNet, squeezed to 224 x 224)"
LICENCE = "LicenseRef-ImageNet-research"
TERMS = Path(__file__).parents[2] / "hub" / "mini" / "LICENSE"


def bundle(run: Path, *, out: Path, commit: str | None = None) -> None:
    """Write OUT; an earlier one is replaced.

    Args:
        run: What `goodviews pretrain mini_colours --init RUN/encoder`, from that of `goodviews pretrain mini`, wrote.
        out: The folder to write.
        commit: Of the code that trained it, where the run could not know.
    """
    encoder = from_pretrained(run / "encoder")
    dataset = {**(encoder.origin.dataset or {}), "name": DATA}
    encoder.origin = replace(
        encoder.origin, name="goodviews-mini", dataset=dataset, licence=LICENCE, commit=commit or encoder.origin.commit
    )
    terms = TERMS.read_text("utf-8")
    with new_folder(out, overwrite=True, kind="encoder") as folder:
        write_encoder(halve(encoder), folder)
        write_text(folder / "LICENSE", terms)
    (out / MARKER).unlink()


if __name__ == "__main__":
    cyclopts.run(bundle)
