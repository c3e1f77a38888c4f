"""A small network of every family of timm: it comes back from its folder by every reader, or is refused at once.

    python benchmarks/timm_families.py [--only vision_transformer swin_transformer] [--out families.json] [--page DIR]
    python benchmarks/timm_families.py --read a.json b.json --page DIR

A family is a file of timm.models. Its smallest network, as far as names tell, goes where a pretraining run takes it:
tried on views of its own size, made an encoder, saved, loaded, checked, embedding photos, and read by timm and
transformers, whose features must equal the encoder's. What does not come through must be refused before training, in
one sentence. Exits with status 1 if anything else happens. --page writes the outcome as a page, README.md and
families.json.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import timm
import torch
from timm.models import list_modules

from goodviews.hub.artifact import check, load, save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import UsageError
from goodviews.hub.fingerprint import synthetic_photo
from goodviews.hub.reports.provenance import hardware, libraries, version
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training.rehearsal import rehearse

# Parts of names by which timm's authors tell small networks, the smallest first.
SMALL = "test_ zepto atto femto pico nano xxs xx_small xs x_small tiny mini lite small _t _s s0 b0 m0 _0 18".split()  # noqa: SIM905
LARGE = "384 448 512 huge giant so400 large".split()  # noqa: SIM905
TOLERANCE = 1e-5  # of features over the largest one; the readers run the same code on the same weights
SENTENCE = 600  # letters that a refusal may have


@dataclass(frozen=True)
class Outcome:
    """What became of a network: "comes back", "refused" with the sentence, or "fails" with what happened."""

    family: str
    network: str
    result: str
    features: int = 0
    difference: float = 0.0  # of the readers' features to the encoder's, over the largest feature
    sentence: str = ""
    seconds: float = 0.0


def main() -> None:
    """Walk the families, print an outcome each, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="families, by default all")
    parser.add_argument("--out", type=Path, help="write the outcomes here as JSON")
    parser.add_argument("--read", nargs="+", type=Path, help="walk nothing; take what --out wrote in these runs")
    parser.add_argument("--page", type=Path, help="write README.md and families.json into this folder")
    given = parser.parse_args()
    outcomes = []
    for file in given.read or ():
        outcomes += [Outcome(**one) for one in json.loads(file.read_text())["outcomes"]]
    for family in () if given.read else given.only or list_modules():
        if name := smallest(family):
            outcomes.append(walk(name, family))
            print(_line(outcomes[-1]), flush=True)
    outcomes.sort(key=lambda one: one.family)
    content = json.dumps(
        {"outcomes": [asdict(one) for one in outcomes], "hardware": hardware(), "libraries": libraries()}, indent=1
    )
    counts = Counter(one.result for one in outcomes)
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    if given.out is not None:
        given.out.write_text(content)
    if given.page is not None:
        given.page.mkdir(parents=True, exist_ok=True)
        (given.page / "families.json").write_text(content + "\n")
        (given.page / "README.md").write_text("\n".join(page(outcomes)) + "\n")
    sys.exit(bool(counts["fails"]))


def smallest(family: str) -> str | None:
    """The network of a family that its name calls the smallest; None where the family has no networks of its own."""

    def size(name: str) -> tuple[bool, int, int, str]:
        rank = next((place for place, word in enumerate(SMALL) if word in name), len(SMALL))
        return any(word in name for word in LARGE), rank, len(name), name

    return min(timm.list_models(module=family), key=size, default=None)


def walk(name: str, family: str = "") -> Outcome:
    """Take one network the way of a pretraining run."""
    began = time.monotonic()
    recipe = recipe_for(name)
    try:
        rehearse(recipe)
    except UsageError as refusal:
        outcome = Outcome(family, name, "refused", sentence=str(refusal))
        if len(outcome.sentence) > SENTENCE or "\n" in outcome.sentence:
            outcome = replace(outcome, result="fails", sentence=f"a refusal of {len(outcome.sentence)} letters")
    else:
        try:
            outcome = come_back(recipe, family)
        except Exception as error:  # whatever a library raises is a failure to be listed
            outcome = Outcome(family, name, "fails", sentence=f"{type(error).__name__}: {error}"[:SENTENCE])
    return replace(outcome, seconds=round(time.monotonic() - began, 1))


def recipe_for(name: str, px: int | None = None) -> Recipe:
    """A recipe with views of the network's own size, or of another."""
    px = px or timm.get_pretrained_cfg(name, allow_unregistered=False).input_size[-1]
    recipe = choose("moco_v2_smoke")
    views = tuple(replace(view, crop=replace(view.crop, px=px)) for view in recipe.views)
    return replace(recipe, architecture=name, views=views)


def come_back(recipe: Recipe, family: str) -> Outcome:
    """Save the recipe's network and hold every reader's features against its own."""
    torch.manual_seed(0)
    encoder = Encoder(build_backbone(recipe.architecture), recipe.preprocessing, Origin(recipe.architecture))
    px = recipe.input_px
    batch = torch.rand(2, 3, px, px)
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        folder = save(encoder, Path(temporary) / "encoder")
        problems = check(folder)
        wanted = encoder(batch)
        differences = [float((found - wanted).abs().max() / wanted.abs().max()) for found in _readers(folder, batch)]
        vectors = load(folder).encode([synthetic_photo()])
    difference, shape = max(differences), (1, encoder.num_features)
    if vectors.shape != shape:
        problems.append(f"encode gives {vectors.shape}, not {shape}")
    if difference > TOLERANCE:
        problems.append(f"the readers' features differ by {difference:.2g} of the largest")
    result = "fails" if problems else "comes back"
    return Outcome(family, recipe.architecture, result, encoder.num_features, difference, " ".join(problems))


def _readers(folder: Path, batch: torch.Tensor) -> Iterator[torch.Tensor]:
    """Features of the batch by goodviews, timm and, where it is installed, transformers."""
    yield load(folder)(batch)
    yield timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()(batch)
    try:
        from transformers import AutoModel
    except ModuleNotFoundError:
        return
    yield AutoModel.from_pretrained(folder).eval()(batch).pooler_output


def page(outcomes: list[Outcome]) -> Iterator[str]:
    """The outcomes as Markdown."""
    counts = Counter(one.result for one in outcomes)
    yield "# Every family of timm, one small network each"
    yield ""
    yield "Written by `benchmarks/timm_families.py --page`; no value is typed by hand. A network that comes back was"
    yield "saved, loaded, checked and used for embedding; timm and transformers read its folder with the same features."
    yield f"Versions: goodviews {version()}, timm {timm.__version__}, torch {torch.__version__}."
    yield ""
    yield "; ".join(f"{count} {result}" for result, count in counts.items()) + "."
    yield ""
    yield "| family | network | outcome | features | largest difference |"
    yield "|---|---|---|---|---|"
    for one in outcomes:
        outcome = one.result if one.result == "comes back" else f"{one.result}: {one.sentence.replace('|', '/')}"
        numbers = f"{one.features} | {one.difference:.1e}" if one.features else " | "
        yield f"| {one.family} | {one.network} | {outcome} | {numbers} |"


def _line(one: Outcome) -> str:
    fields = (one.family, one.network, one.result, one.features, f"{one.difference:.1e}", one.seconds, one.sentence)
    return "\t".join(map(str, fields))


if __name__ == "__main__":
    main()
