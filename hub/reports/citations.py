"""What whoever uses an encoder may cite: the papers of its method, and goodviews."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

# The class of a recipe's objective -> its papers in methods.bib, newest last.
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
    "SimclrClsa": ("simclr", "clsa"),
    "Swav": ("swav",),
    "SymmetricClsa": ("moco", "clsa"),
    "SymmetricQueueContrast": ("moco", "moco_v2"),
}


def citations(ours: Mapping[str, Any]) -> list[str]:
    """BibTeX entries for an encoder that config.json's own block describes; goodviews comes last."""
    objective = (ours.get("recipe") or {}).get("objective") or {}
    papers = _PAPERS.get(str(objective.get("type")), ()) if isinstance(objective, Mapping) else ()
    return [*(papers_by_key()[key] for key in papers), _goodviews(ours.get("commit"))]


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
