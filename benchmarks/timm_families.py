"""A small network of every family of timm: it comes back from its folder by every reader, or is refused at once.

    python benchmarks/timm_families.py [--only vision_transformer swin_transformer] [--out families.jsonl] [--page DIR]
    python benchmarks/timm_families.py --read a.jsonl b.jsonl --page DIR

A family is a file of timm.models. One of its smallest networks goes where a pretraining run takes it: tried on views
of its own size, made an encoder, saved, loaded, checked, embedding photos, and read by timm and transformers, whose
features must equal the encoder's. What does not come through must be refused before training, in one sentence. Exits
with status 1 if anything else happens. --out gets a line of JSON after each family; families that it has already are
not walked again. --page writes the outcomes as a page, README.md and families.json.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from timm.models import list_modules

from goodviews.hub.artifact import check, load, save
from goodviews.hub.backbone import UNBUILDABLE, build_backbone
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
LOOKED_AT = 8  # networks of a family, by name the smallest, that are built to count their parameters
MOST = (
    50 * 256**2
)  # million parameters times pixels of a view; beyond it views are of FEWER_PX, if the network takes them
FEWER_PX = 224


@dataclass(frozen=True)
class Outcome:
    """What became of a network: "comes back", "refused" with the sentence, or "fails" with what happened."""

    family: str
    network: str
    result: str
    parameters: float = 0.0  # millions
    px: int = 0  # the side of the views
    features: int = 0
    difference: float = 0.0  # of the readers' features to the encoder's, over the largest feature
    sentence: str = ""
    seconds: float = 0.0


def main() -> None:
    """Walk the families, print an outcome each, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="families, by default all")
    parser.add_argument("--out", type=Path, help="add a line of JSON here for each family that has none yet")
    parser.add_argument("--read", nargs="+", type=Path, help="walk nothing; take what --out wrote in these runs")
    parser.add_argument("--page", type=Path, help="write README.md and families.json into this folder")
    given = parser.parse_args()
    outcomes = []
    for file in given.read or ([given.out] if given.out is not None and given.out.is_file() else ()):
        outcomes += [Outcome(**json.loads(line)) for line in file.read_text().splitlines()]
    known = {one.family for one in outcomes}
    for family in () if given.read else given.only or families():
        if family not in known and (name := smallest(family)):
            outcomes.append(walk(name, family))
            print(_line(outcomes[-1]), flush=True)
            if given.out is not None:
                with given.out.open("a") as file:
                    file.write(json.dumps(asdict(outcomes[-1])) + "\n")
    outcomes.sort(key=lambda one: one.family)
    counts = Counter(one.result for one in outcomes)
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    if given.page is not None:
        write_page(outcomes, given.page)
    sys.exit(bool(counts["fails"]))


def families() -> list[str]:
    """The files of timm.models that have networks."""
    return [family for family in list_modules() if find_spec(f"timm.models.{family}")]  # ours are listed there too


def smallest(family: str) -> str | None:
    """Of the networks of a family that names call the smallest, the one with the fewest parameters.

    None where the family has no networks of its own.
    """

    def size(name: str) -> tuple[bool, int, int, str]:
        rank = next((place for place, word in enumerate(SMALL) if word in name), len(SMALL))
        return any(word in name for word in LARGE), rank, len(name), name

    names = sorted(timm.list_models(module=family), key=size)
    if not names or names[0].startswith("test_"):
        return next(iter(names), None)
    return min(names[:LOOKED_AT], key=lambda name: (any(word in name for word in LARGE), parameters_of(name)))


def parameters_of(name: str) -> float:
    """Millions, without the classifier."""
    with torch.device("meta"):
        backbone = timm.create_model(name, num_classes=0)
    return round(sum(tensor.numel() for tensor in backbone.parameters()) / 1e6, 1)


def walk(name: str, family: str = "") -> Outcome:
    """Take one network the way of a pretraining run."""
    began = time.monotonic()
    parameters = parameters_of(name)
    recipe = recipe_for(name)
    if parameters * recipe.input_px**2 > MOST and recipe.input_px > FEWER_PX and _takes(name, FEWER_PX):
        recipe = recipe_for(name, FEWER_PX)
    outcome = _outcome(recipe, name, family)
    seconds = round(time.monotonic() - began, 1)
    return replace(outcome, parameters=parameters, px=recipe.input_px, seconds=seconds)


def _takes(name: str, px: int) -> bool:
    with torch.no_grad():
        try:
            timm.create_model(name, num_classes=0).eval()(torch.rand(1, 3, px, px))
        except UNBUILDABLE:
            return False
    return True


def _outcome(recipe: Recipe, name: str, family: str) -> Outcome:
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
    return outcome


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
    return Outcome(
        family,
        recipe.architecture,
        result,
        features=encoder.num_features,
        difference=difference,
        sentence=" ".join(problems),
    )


def _readers(folder: Path, batch: torch.Tensor) -> Iterator[torch.Tensor]:
    """Features of the batch by goodviews, timm and, where it is installed, transformers."""
    yield load(folder)(batch)
    yield timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()(batch)
    try:
        from transformers import AutoModel
    except ModuleNotFoundError:
        return
    yield AutoModel.from_pretrained(folder).eval()(batch).pooler_output


def write_page(outcomes: list[Outcome], folder: Path) -> None:
    """README.md for people, families.json with everything."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"outcomes": [asdict(one) for one in outcomes], "hardware": hardware(), "libraries": libraries()}
    (folder / "families.json").write_text(json.dumps(content, indent=1) + "\n")
    about = f"Versions: goodviews {version()}, timm {timm.__version__}, torch {torch.__version__}"
    (folder / "README.md").write_text("\n".join(page(outcomes, about)) + "\n")


def page(outcomes: list[Outcome], about: str) -> Iterator[str]:
    """The outcomes as Markdown: what does not come back first, then all of them, folded; `about` names the versions."""
    whole = [one for one in outcomes if one.result == "comes back"]
    others = [one for one in outcomes if one.result != "comes back"]
    missing = sorted({*families()} - {one.family for one in outcomes})
    largest = max((one.difference for one in whole), default=0.0)
    yield "# Every family of timm, one small network each"
    yield ""
    yield "**Question.** Which networks of timm come back from an encoder folder as they went in?"
    yield ""
    yield "**Setting.** One of the smallest networks of each file of `timm.models`: saved, loaded, checked, used for"
    yield "embedding, and read by goodviews, timm and transformers. Weights are random."
    yield ""
    yield "## What was found"
    yield ""
    yield "| families | come back | refused before training | not walked |"
    yield "|---|---|---|---|"
    yield f"| {len(outcomes)} | {len(whole)} | {len(others)} | {', '.join(missing) or 'none'} |"
    yield ""
    if others:
        yield "| family | network | outcome |"
        yield "|---|---|---|"
        for one in others:
            yield f"| {one.family} | {one.network} | {one.result}: {one.sentence.replace('|', '/')} |"
        yield ""
    yield f"**Answer.** {len(whole)} of {len(outcomes)} come back: features of the readers differ by at most"
    yield f"{largest:.1e} of the largest one. A larger network of a family may differ from its smallest; a run of any"
    yield "network is tried in the same way before it starts."
    yield ""
    yield "## Evidence"
    yield ""
    yield "<details>"
    yield "<summary>All families</summary>"
    yield ""
    yield f"Views are of the network's own size; where that and the network are large, of {FEWER_PX} px if it takes"
    yield "them. Difference: of the readers' features, over the largest."
    yield ""
    yield "| family | network | million parameters | px | features | difference |"
    yield "|---|---|---|---|---|---|"
    for one in whole:
        numbers = f"{one.parameters} | {one.px} | {one.features} | {one.difference:.1e}"
        yield f"| {one.family} | {one.network} | {numbers} |"
    yield ""
    yield "</details>"
    yield ""
    yield f"{about}. Hardware and outcomes as data: families.json. Again:"
    yield "`python benchmarks/timm_families.py --page docs/results/timm-families`. No figure is typed by hand."


def _line(one: Outcome) -> str:
    fields = (one.family, one.network, one.result, one.features, f"{one.difference:.1e}", one.seconds, one.sentence)
    return "\t".join(map(str, fields))


if __name__ == "__main__":
    main()
