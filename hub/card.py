"""The card: README.md of an encoder folder, made from its config.json and its reports, no number typed by hand."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from .report import Report


def card(config: dict[str, Any], reports: Sequence[Report] = ()) -> str:
    """Markdown with the Hub's metadata block.

    Args:
        config: config.json of the folder.
        reports: measured results to tabulate; with none the card says that nothing was measured.
    """
    return _template().render(config=config, ours=config["goodviews"], cfg=config["pretrained_cfg"], reports=reports)


@cache
def _template() -> Template:
    source = files("goodviews.hub").joinpath("card.md.j2").read_text()
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    return environment.from_string(source)


def _cell(value: object) -> str:
    """Text that stays inside its cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", r"\|")
