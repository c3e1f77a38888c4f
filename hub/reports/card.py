"""The card: README.md of an encoder folder, made from its config.json and its reports, no number typed by hand."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ..output.printing import code_text, markdown_text
from ..output.templates import fill_template
from .report import Report


def card(config: dict[str, Any], reports: Sequence[Report] = ()) -> str:
    """Markdown with the Hub's metadata block.

    Args:
        config: config.json of the folder.
        reports: measured results for its table; without any the card says that nothing was measured.
    """
    values = {"config": config, "ours": config["goodviews"], "cfg": config["pretrained_cfg"], "reports": reports}
    return fill_template("goodviews.hub.reports", "card.md.j2", values, filters=_FILTERS)


def _yaml(value: object) -> str:
    """A word as it is; any other text in quotes, which hold it whole."""
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z][\w.+-]*", text) else json.dumps(text)


_FILTERS = {"cell": markdown_text, "code": code_text, "yaml": _yaml}  # names are others' words, and are escaped
