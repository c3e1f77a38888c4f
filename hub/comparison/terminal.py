"""A comparison as tables in a terminal, without the columns that are too wide for one."""

from rich.markup import escape
from rich.table import Table as TerminalTable

from .cells import cells, control_cells, headings, published_cells, published_headings
from .tables import Table


def comparison_table(table: Table) -> TerminalTable:
    """A table of a comparison without its widest columns; they are in the files."""
    left_out = {*table.others, *(["interval", "runs"] if table.baseline else [])}
    places = [place for place, heading in enumerate(headings(table)) if heading not in left_out]
    drawing = TerminalTable(title=escape(table.title))
    for place in places:
        drawing.add_column(escape(headings(table)[place]), overflow="fold")
    for row in table.rows:
        drawing.add_row(*(escape(cells(table, row)[place]) for place in places))
    if table.controls:
        drawing.add_section()
    for control in table.controls:
        drawing.add_row(*(escape(control_cells(table, control)[place]) for place in places), style="dim")
    return drawing


def published_table(table: Table) -> TerminalTable:
    """The published rows beside a table; their sources are in the files."""
    assert table.published is not None
    names = [heading for heading in published_headings(table) if heading != "other source"]
    drawing = TerminalTable(
        *map(escape, names), title=escape(f"Published, not measured here: {table.published.protocol}")
    )
    for row in table.published.rows:
        drawing.add_row(*map(escape, published_cells(table, row)[: len(names)]))
    return drawing
