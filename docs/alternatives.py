"""Writes what goodviews has beside other libraries, of alternatives.toml: README's table, and a page with the sources.

python docs/alternatives.py
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from goodviews.hub.comparison.files import markdown_lines

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "alternatives.md"
START, END = "<!-- made by docs/alternatives.py -->", "<!-- end -->"


def main() -> None:
    """Write both."""
    known = read()
    readme = REPOSITORY / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(re.sub(f"{START}.*?{END}", lambda _: section(known), text, flags=re.DOTALL), encoding="utf-8")
    PAGE.write_text(page(known), encoding="utf-8")


def read() -> dict[str, Any]:
    """The file's content."""
    return tomllib.loads((REPOSITORY / "docs" / "alternatives.toml").read_text(encoding="utf-8"))


def section(known: dict[str, Any]) -> str:
    """What stands between the two comments of README."""
    names = ["goodviews", *known["versions"]]
    rows = [[row["name"], *(row[name]["value"] for name in names)] for row in known["row"]]
    return f"{START}\n{_table(['', *names], rows)}{END}"


def page(known: dict[str, Any]) -> str:
    """The page: a section for each row, since a table of seven columns with sources fits no screen."""
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    parts = [
        "# Beside other libraries",
        f"Read on {known['checked']} in the packages as pip installs them: {versions}. Each does much that is not in "
        "these rows; they ask for what goodviews is for, and for what it lacks. Where a cell is out of date, mend "
        "`docs/alternatives.toml`.",
    ]
    for row in known["row"]:
        cells = [[name, row[name]["value"], row[name]["source"]] for name in ("goodviews", *known["versions"])]
        heading = row["name"] if row["name"].startswith("kNN") else row["name"][0].upper() + row["name"][1:]
        parts.append(f"## {heading}\n\n{_table(['library', '', 'where'], cells)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    return markdown_lines([headings, ["---"] * len(headings), *rows])


if __name__ == "__main__":
    main()
