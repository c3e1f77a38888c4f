"""Text from a template file: the Markdown of a card, or an HTML page that needs no other file."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined


def fill_template(
    package: str, name: str, values: Mapping[str, Any], *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """The text of a template with its variables filled in.

    Args:
        package: where the file lies: "goodviews.hub.demo".
        name: of the file: "page.html.j2"; it may extend others of the package. Values are escaped where it ends in
            .html.j2.
        values: every variable of the template; jinja2's UndefinedError names one that is missing.
        filters: functions that the template calls by name: {{ value | NAME }}.
    """
    environment = Environment(
        loader=FunctionLoader(lambda name: files(package).joinpath(name).read_text(encoding="utf-8")),
        undefined=StrictUndefined,
        autoescape=name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(name).render(values)
