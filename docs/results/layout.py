"""The layout of every page of results: question, setting, findings, answer with its doubt, evidence folded away."""

from collections.abc import Sequence
from typing import Any

from goodviews.hub.comparison.files import markdown_lines

MOST_COLUMNS = 6  # of a table that is not folded away


def page(title: str, *, question: str, setting: str, found: Sequence[str], answer: str, evidence: Sequence[str]) -> str:
    """The text of README.md.

    Args:
        title: The heading.
        question: What the page asks, in a sentence.
        setting: What was run, on what, how long.
        found: Tables of at most six columns, pictures, and how to read them.
        answer: What the numbers say, and what they leave in doubt.
        evidence: Blocks of `folded`.
    """
    parts = [
        f"# {title}",
        f"**Question.** {question}",
        f"**Setting.** {setting}",
        "## What was found",
        *found,
        "**Answer.**" + (answer if answer.startswith("\n") else f" {answer}"),
        "## Evidence",
        *evidence,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that a reader sees at once."""
    assert len(headings) <= MOST_COLUMNS, "fold a wider table away"
    return wide_table(headings, rows)


def wide_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table to be folded away."""
    return markdown_lines([headings, ["---"] * len(headings), *rows])


def folded(summary: str, *body: str) -> str:
    """What is shown only when the reader asks for it."""
    inside = "\n\n".join(part.strip() for part in body)
    return f"<details>\n<summary>{summary}</summary>\n\n{inside}\n\n</details>"


def evidence_of_sweep(name: str, report: dict[str, Any]) -> str:
    """Who says what a report of the views lab holds."""
    evidence = report["evidence"]
    return (
        f"{name}: `{evidence['command']}`; commit {evidence['commit']}, {evidence['hardware']}, "
        f"{report['training']['precision']}, {evidence['started'][:10]}, {evidence['seconds'] / 60:.0f} minutes on the "
        "clock of a busy machine."
    )
