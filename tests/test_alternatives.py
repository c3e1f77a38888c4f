"""The table of other libraries in README is the one of docs/alternatives.toml."""

from pathlib import Path
from types import ModuleType

import pytest

from .scripts import load_script

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / "docs" / "alternatives.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="runs in a clone: it reads README and docs")


@pytest.fixture(scope="module")
def alternatives() -> ModuleType:
    return load_script(SCRIPT)


def test_readme_and_the_page_hold_what_the_file_says(alternatives: ModuleType):
    known = alternatives.read()
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert alternatives.section(known) in readme
    assert alternatives.PAGE.read_text(encoding="utf-8") == alternatives.page(known)
    assert f"on {known['checked']}" in readme


def test_every_cell_has_a_value_and_where_it_was_read(alternatives: ModuleType):
    known = alternatives.read()
    for row in known["row"]:
        assert set(row) == {"name", "goodviews", *known["versions"]}, row["name"]
        assert all(cell["value"] and cell["source"] for name, cell in row.items() if name != "name"), row["name"]


def test_the_rows_name_what_goodviews_lacks_too(alternatives: ModuleType):
    values = [row["goodviews"]["value"] for row in alternatives.read()["row"]]
    assert values.count("no") >= 3


def test_readme_has_at_most_140_lines_and_no_prose_beyond_120_letters():
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 140
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "!["))] == []
