"""What whoever uses an encoder may cite: the papers of its method, and goodviews."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

# The class of a recipe's objective, or of an operation of its views -> its papers in methods.bib, newest last.
_PAPERS = {
    "Byol": ("byol",),
    "ByolClsa": ("byol", "clsa"),
    "Clsa": ("moco", "clsa"),
    "CrossBank": ("cmc",),
    "CrossQueue": ("cmc", "moco"),
    "InfoMin": ("moco", "infomin"),
    "InstanceContrast": ("instdis",),
    "LearnedCrossBank": ("cmc", "infomin"),
    "NtXent": ("simclr",),
    "Pirl": ("pirl",),
    "PrototypeContrast": ("moco", "pcl"),
    "QueueContrast": ("moco", "moco_v2"),
    "RandAugment": ("infomin",),  # InfoMin's views
    "SimclrClsa": ("simclr", "clsa"),
    "StrongPolicy": ("clsa",),
    "Swav": ("swav",),
    "SymmetricClsa": ("moco", "clsa"),
    "SymmetricQueueContrast": ("moco", "moco_v2"),
}


def citations(ours: Mapping[str, Any]) -> list[str]:
    """BibTeX entries for an encoder that config.json's own block describes; goodviews comes last."""
    recipe = ours.get("recipe")
    fields = [recipe.get(name) for name in ("objective", "views")] if isinstance(recipe, Mapping) else []
    keys = dict.fromkeys(key for kind in _types(fields) for key in _PAPERS.get(kind, ()))
    return [*(papers_by_key()[key] for key in keys), _goodviews(ours.get("commit"))]


def _types(part: object) -> Iterator[str]:
    """What a part of a recipe and all parts of it are, as far as they say so."""
    if isinstance(part, Mapping):
        yield str(part.get("type"))
    inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    for one in inner:
        yield from _types(one)


@cache
def papers_by_key() -> dict[str, str]:
    """The entries of methods.bib."""
    text = files("goodviews.hub.reports").joinpath("methods.bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in re.split(r"\n(?=@)", text)]
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in entries}


def _goodviews(commit: object) -> str:
    version = f",\n  version = {{{re.sub(r'[^0-9A-Za-z.+-]', '', str(commit))}}}" if commit else ""
    return (
        "@software{goodviews,\n  title = {goodviews: ResNet encoders pretrained with good views},\n"
        f"  author = {{{{The goodviews maintainers}}}}{version}\n}}"
    )
