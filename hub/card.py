"""The card: README.md of an encoder folder, made from its config.json and its reports, no number typed by hand."""

from collections.abc import Sequence
from typing import Any

from .report import Report
from .templates import fill_template


def card(config: dict[str, Any], reports: Sequence[Report] = ()) -> str:
    """Markdown with the Hub's metadata block.

    Args:
        config: config.json of the folder.
        reports: measured results for its table; without any the card says that nothing was measured.
    """
    values = {"config": config, "ours": config["goodviews"], "cfg": config["pretrained_cfg"], "reports": reports}
    return fill_template("goodviews.hub", "card.md.j2", values, filters={"cell": _cell})


def _cell(value: object) -> str:
    """Text that cannot leave its cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", r"\|")
