"""What a page says of itself: to visitors under "About this page", to whoever publishes it in README.md."""

from dataclasses import dataclass
from pathlib import Path

from ...hub.onnx_encoder import OnnxEncoder
from ...hub.output.printing import code_text, markdown_text
from .collection import Collection
from .compact import Loss
from .runtime_files import PACKAGE, VERSION

SMALL_MB = 0.1  # files below are not listed


@dataclass(frozen=True)
class Facts:
    """What was measured when the page was written.

    Attributes:
        remark: why the encoder is not int8; empty where it is.
        rounding: what 8-bit vectors change.
        agreement: share of the 10 nearest photos that the browser finds as the index does, vectors and encoder
            together; None with too few photos.
        megabytes: of the files, by their names.
    """

    encoder: str
    architecture: str
    licence: str | None
    model_file: str
    variant: str
    remark: str
    dimension: int
    photos: int
    rounding: Loss
    agreement: float | None
    megabytes: dict[str, float]

    @classmethod
    def of(
        cls,
        folder: Path,
        model: OnnxEncoder,
        collection: Collection,
        rounding: Loss,
        agreement: float | None,
        remark: str,
    ) -> "Facts":
        sizes = {place.name: _size(place) / 1e6 for place in sorted(folder.iterdir())}
        return cls(
            model.id.name,
            model.id.architecture,
            model.licence,
            model.path.name,
            model.variant,
            remark,
            model.num_features,
            len(collection),
            rounding,
            agreement,
            sizes,
        )


def about_lines(facts: Facts) -> list[tuple[str, str]]:
    """Terms and what stands beside them, for visitors."""
    lines = [
        ("Your photo", "stays on this device: encoder and search run in this browser, and the page sends nothing."),
        ("Collection", f"{facts.photos} photos, {facts.dimension} numbers each"),
        (
            "Encoder",
            f"{facts.encoder} ({facts.architecture}), {facts.variant}, licence {facts.licence or 'not stated'}",
        ),
        ("Runtime", f"ONNX Runtime Web {VERSION}, MIT licence"),
    ]
    if facts.agreement is not None:
        lines.append(("Finds", f"{facts.agreement:.1%} of the 10 nearest photos that the exact encoder finds"))
    return [*lines, ("Made with", "goodviews")]


def readme(facts: Facts) -> str:
    """README.md of the folder."""
    rounding = f"cosine {facts.rounding.cosine:.5f} or more to the exact vector"
    if facts.rounding.neighbours is not None:
        rounding += f", {facts.rounding.neighbours:.1%} of the 10 nearest neighbours stay"
    together = (
        ""
        if facts.agreement is None
        else (
            f"Encoder and vectors together find {facts.agreement:.1%} of the 10 nearest photos that the index finds, "
            "searched by thumbnails."
        )
    )
    rows = [f"| {code_text(name)} | {size:.2f} |" for name, size in facts.megabytes.items() if size > SMALL_MB]
    parts = [
        "# A search page that needs no server",
        f"{facts.photos} photos, encoder {markdown_text(facts.encoder)} ({facts.variant}), licence "
        f"{markdown_text(facts.licence or 'not stated')}. Visitors' browsers do all the work; their photos "
        "are not sent anywhere.",
        "```\npython -m http.server --directory .\n```",
        "then open http://localhost:8000, or copy the folder to any host of static files. Opened as a file it does not "
        "work: browsers load neither scripts nor data from there.",
        f"Vectors are 8-bit integers: {rounding}. {together}".strip(),
        *([f"The encoder is {facts.variant}, not int8: {markdown_text(facts.remark)}."] if facts.remark else []),
        "Before you publish it: thumbnails, file names and class names of the collection are in it, for everybody to "
        "read; the photos themselves are not, nor where they lie on your machine.",
        "\n".join(["| file | MB |", "|---|---|", *rows]),
        f"`onnxruntime` is from the npm package {PACKAGE} {VERSION} (Microsoft, MIT licence).",
    ]
    return "\n\n".join(parts) + "\n"


def _size(place: Path) -> int:
    return place.stat().st_size if place.is_file() else sum(file.stat().st_size for file in place.rglob("*"))
