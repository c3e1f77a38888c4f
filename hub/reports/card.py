"""The card: README.md of an encoder folder, made from what lies in the folder, nothing typed by hand."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..output.printing import code_text, markdown_text
from ..output.templates import fill_template
from .citations import citations
from .licences import licence_fields
from .onnx_figures import OnnxFigures
from .recipe_table import recipe_rows
from .report import Report
from .results import by_protocol, model_index

HUB = "https://huggingface.co"
# A parent that is a repository of the Hub: OWNER/NAME, with a revision and the digest of its weights at will.
_REPOSITORY = re.compile(r"(?:hf-hub:)?([\w.-]+/[\w.-]+)(?:@[\w./-]+)?(?: \(weights [0-9a-f]{64}\))?")
_OPTIONAL = ("recipe", "dataset", "epochs", "commit", "parent", "licence")  # of the block "goodviews"
_MOST_CLASSES = 20  # that are named
_SENTENCES = ("metric", "interval")  # of a report's description: they stand in the table


@dataclass(frozen=True)
class Published:
    """Where a card is published: OWNER/NAME of a Hub that answers at `endpoint`."""

    repository: str
    endpoint: str = HUB

    @property
    def address(self) -> str:
        return f"{self.endpoint}/{self.repository}"


@dataclass(frozen=True)
class Beside:
    """What lies in an encoder folder beside config.json: reports by file name, a picture of curves, ONNX figures."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    has_curves: bool = False
    onnx: Sequence[OnnxFigures] = ()


def card(config: dict[str, Any], beside: Beside | None = None, *, published: Published | None = None) -> str:
    """Markdown with the Hub's metadata block.

    Args:
        config: config.json of the folder.
        beside: what else it holds; without reports the card says that nothing was measured.
        published: where the card stands, for its snippets; None for a folder on this disk.
    """
    beside = beside or Beside()
    ours = dict.fromkeys(_OPTIONAL) | config["goodviews"]
    values = {
        "header": yaml.safe_dump(_header(config, beside, published), sort_keys=False, allow_unicode=True, width=1000),
        "config": config,
        "ours": ours,
        "cfg": config["pretrained_cfg"],
        "published": published,
        "is_own_hub": published is not None and published.endpoint != HUB,
        "recipe": recipe_rows(ours.get("recipe") or {}),
        "data": _data(ours),
        "beside": beside,
        "protocols": [(report, data, _sentences(report)) for report, data in by_protocol([*beside.reports.values()])],
        "onnx_columns": list(dict.fromkeys(name for one in beside.onnx for name in one.measured)),
        "citations": citations(ours),
    }
    return fill_template("goodviews.hub.reports", "card.md.j2", values, filters=_FILTERS)


def _header(config: dict[str, Any], beside: Beside, published: Published | None) -> dict[str, Any]:
    """The metadata that the Hub reads."""
    ours = config["goodviews"]
    address = published.address if published else None
    parent = _REPOSITORY.fullmatch(str(ours.get("parent") or ""))
    index = model_index(str(ours.get("name", "unnamed")), beside.reports, address=address)
    return {
        "library_name": "timm",
        "pipeline_tag": "image-feature-extraction",
        **licence_fields(ours.get("licence")),
        "tags": ["goodviews", "feature-extraction", config["architecture"]]
        + (["self-supervised"] if ours.get("recipe") else []),
        **({"base_model": parent[1]} if parent else {}),
        **({"model-index": index} if index else {}),
    }


def _data(ours: Mapping[str, Any]) -> str:
    """The photos that were trained on, as sentences; nothing where config.json names none."""
    dataset, recipe = ours["dataset"], ours["recipe"]
    if not isinstance(dataset, Mapping):
        return ""
    text = f"The data: {markdown_text(dataset.get('name', 'unnamed'))}"
    if isinstance(dataset.get("images"), int):
        text += f", {dataset['images']:,} images"
    classes = dataset.get("classes")
    if isinstance(classes, list) and classes:
        names = f" ({markdown_text(', '.join(map(str, classes)))})" if len(classes) <= _MOST_CLASSES else ""
        text += f", in {len(classes)} {'class' if len(classes) == 1 else 'classes'}{names}"
    if not isinstance(recipe, Mapping):
        return text + "."
    is_supervised = isinstance(recipe.get("objective"), Mapping) and recipe["objective"].get("type") == "Classify"
    return text + (". Their labels were what it learned." if is_supervised else ". No label was used to train it.")


def _sentences(report: Report) -> list[str]:
    """The protocol for readers, topic by topic."""
    return [
        f"{topic.replace('_', ' ')}: {text}" for topic, text in report.description.items() if topic not in _SENTENCES
    ]


def _number(value: float) -> str:
    """At most six digits, and none that says nothing."""
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


_FILTERS = {"cell": markdown_text, "code": code_text, "number": _number}  # names are others' words, and are escaped
