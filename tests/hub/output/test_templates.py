"""A package of two templates, made on the spot."""

import sys

import pytest
from jinja2 import UndefinedError

from goodviews.hub.output.templates import fill_template


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "made_for_this_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in ("card.md.j2", "page.html.j2"):
        (folder / name).write_text("{% if title %}\n  {{ title | twice }}\n{% endif %}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)  # an earlier test's is in a folder of its own
    return folder.name


def fill(package, name, values):
    return fill_template(package, name, values, filters={"twice": lambda text: text + text})


def test_values_are_escaped_on_html_pages_alone(package):
    assert fill(package, "page.html.j2", {"title": "<b>"}) == "  &lt;b&gt;&lt;b&gt;\n"
    assert fill(package, "card.md.j2", {"title": "<b>"}) == "  <b><b>\n"


def test_a_missing_variable_is_an_error_that_names_it(package):
    with pytest.raises(UndefinedError, match="title"):
        fill(package, "card.md.j2", {})
