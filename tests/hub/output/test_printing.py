import io
import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from goodviews.hub.output.printing import code_text, json_text, markdown_text, shown
from goodviews.hub.output.terminal import Terminal

HOSTILE = "a\x1b]0;title\x07b\x1b[2J\x9b31m\r\n\u202egpj.exe\udc80.jpg"


def test_controls_are_written_as_python_writes_them():
    assert shown("a\x1b[2Jb\n") == r"a\x1b[2Jb\n"
    assert shown("b\n", keep="\n") == "b\n"
    assert shown(HOSTILE).isprintable()
    assert shown(Path("Zoë/日本/мир 🙂.jpg")) == "Zoë/日本/мир 🙂.jpg"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_name_commands_the_terminal_whatever_is_printed(is_terminal: bool):
    from rich.table import Table
    from rich.text import Text

    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=is_terminal, width=200, color_system=None)
    table = Table("name", title=Text(HOSTILE))
    table.add_row(Text(HOSTILE))
    terminal.print(HOSTILE, markup=False)
    terminal.print(table)
    terminal.print(f"[bold]{'x'}[/]")
    printed = stream.getvalue()
    assert not set(printed) & set("\x1b\x07\x9b\r\u202e\udc80") - (set("\x1b") if is_terminal else set())
    assert "\x1b]" not in printed
    assert "\x1b[2J" not in printed
    assert printed.encode()


@pytest.mark.parametrize(
    "name",
    [
        "[click](https://x.example)",
        "![x](y.png)",
        "<script>alert(1)</script>",
        "a|b",
        "*bold*",
        "__init__",
        "`code`",
        "a\n# b",
    ],
)
def test_markdown_shows_a_name_as_it_is(name: str):
    parser = MarkdownIt("commonmark").enable("table")
    shown_line = " ".join(name.split())
    for text in (f"- {markdown_text(name)}", f"| a |\n|---|\n| {markdown_text(name)} |"):
        inline = [token for token in parser.parse(text) if token.type == "inline"][-1]
        assert {child.type for child in inline.children or ()} <= {"text", "text_special"}
        assert "".join(child.content for child in inline.children or ()) == shown_line


def test_plain_names_stay_plain():
    for name in ("resnet18_cifar", "voc07+12-c4-24k", "72.4 [69.5, 75.1]", "random:resnet18-w0.25-32px"):
        assert markdown_text(name) == name
    assert "`" not in code_text("a`b")


def test_json_on_a_terminal_commands_nothing_and_stays_json():
    value = {"naïve": "a\x9b2J\x1b[2J\u202eb\udcff", "é": [1.5, None]}
    text = json_text(value)
    assert json.loads(text) == value
    assert "naïve" in text
    assert all(letter == "\n" or letter.isprintable() for letter in text)
