"""What a screen shows and what a pipe gets."""

import io
import logging

import pytest
from rich.table import Table

from goodviews.hub.output import terminal
from goodviews.hub.output.terminal import LogLines, Terminal, progress_bar, screen

LONG = "step 1200/250000  " + "  ".join(f"figure_{i} {i / 7:.4g}" for i in range(20))


@pytest.fixture
def own_screen(monkeypatch):
    """`screen()` without what another test left in it."""
    screen.cache_clear()
    yield screen
    screen.cache_clear()


def table() -> Table:
    made = Table("name", "value", title="Scores", caption="in %")
    made.add_row("knn [x]".replace("[", "\\["), f"first\nsecond {'long ' * 40}")
    made.add_row("[dim]linear[/]", "")
    return made


def test_a_table_in_a_pipe_is_a_line_a_row_with_tabs_and_nothing_drawn():
    stream = io.StringIO()
    Terminal(file=stream, force_terminal=False, width=40).print(table())
    rows = stream.getvalue().splitlines()
    assert rows == ["Scores", "name\tvalue", f"knn [x]\tfirst second {('long ' * 40).strip()}", "linear", "in %"]


def test_a_table_on_a_screen_keeps_to_its_width():
    stream = io.StringIO()
    Terminal(file=stream, force_terminal=True, width=40, color_system=None).print(table())
    assert max(len(line) for line in stream.getvalue().splitlines()) <= 40


def test_a_log_line_in_a_pipe_is_one_line_of_any_length(own_screen, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    record = logging.LogRecord("goodviews", logging.INFO, __file__, 1, LONG, None, None)
    LogLines().emit(record)
    assert capsys.readouterr().err == LONG + "\n"


def test_a_warning_says_that_it_is_one_and_brackets_stay(own_screen, capsys):
    LogLines().emit(logging.LogRecord("goodviews", logging.WARNING, __file__, 1, "[bold] is few", None, None))
    assert capsys.readouterr().err == "warning: [bold] is few\n"


def test_only_the_first_of_several_processes_speaks(own_screen, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    LogLines().emit(logging.LogRecord("goodviews", logging.WARNING, __file__, 1, LONG, None, None))
    assert capsys.readouterr().err == ""


def test_bars_and_log_lines_share_one_console_and_a_bar_leaves_nothing_behind(own_screen, monkeypatch):
    stream = io.StringIO()
    made = Terminal(file=stream, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(terminal, "screen", lambda: made)
    with progress_bar() as bar:
        bar.add_task("Encoding", total=3)
        LogLines().emit(logging.LogRecord("goodviews", logging.INFO, __file__, 1, "a line", None, None))
    assert bar.console is made
    assert bar.live.transient
    assert "a line" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("\x1b[2K")  # the bar's line is wiped
    assert progress_bar(is_shown=False).disable
