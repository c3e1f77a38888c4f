"""A bar on a terminal where rich is installed, else lines, nothing when nobody asked."""

import sys

import pytest

from goodviews.hub.output import progress
from goodviews.hub.output.progress import track


def test_nothing_is_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]):
    assert list(track([1, 2, 3], "Encoding", is_shown=False)) == [1, 2, 3]
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_into_a_pipe_a_line_counts_where_a_terminal_has_a_bar(capsys: pytest.CaptureFixture[str]):
    assert list(track([1, 2, 3], "Encoding", is_shown=True)) == [1, 2, 3]
    assert capsys.readouterr() == ("", "Encoding 3/3\n")


def test_without_rich_lines_on_standard_error_count_and_the_last_is_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.delitem(sys.modules, "goodviews.hub.output.terminal")
    assert list(track("abc", "Encoding", is_shown=True)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Encoding 3/3\n")
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert list(track("abc", "Encoding", is_shown=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err == "Encoding 1/3\nEncoding 2/3\nEncoding 3/3\n"
