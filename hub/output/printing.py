"""Names of files and whatever else others chose, as they may be printed: nothing in them commands the terminal."""

import json
import re
import unicodedata

# Controls, line and paragraph separators, surrogates, and the formats that reverse text.
_COMMANDS = {"Cc", "Zl", "Zp", "Cs"}
_REVERSING = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: object, *, keep: str = "") -> str:
    """A text with control characters as \\x1b and the like.

    Args:
        keep: controls that stay, e.g. a newline.
    """
    return "".join(letter if _is_plain(letter) or letter in keep else _escaped(letter) for letter in str(text))


def json_text(value: object) -> str:
    """JSON to be printed: names as they are, and what would command a terminal as an escape, which JSON has too."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(letter if _is_plain(letter) or letter == "\n" else f"\\u{ord(letter):04x}" for letter in text)


def markdown_text(text: object) -> str:
    """A text that Markdown shows as it is, in a line or in the cell of a table."""
    line = " ".join(shown(text, keep="\n").split())
    line = re.sub(r"([\\`*<>|])", r"\\\1", line)
    line = re.sub(r"\](?=[(\[:])|(?<=!)\[", r"\\\g<0>", line)  # of links and pictures; other brackets are plain
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", line)  # inside a word it is plain


def code_text(text: object) -> str:
    """A text for a code span, where nothing can be escaped."""
    return " ".join(shown(text, keep="\n").split()).replace("`", "'").replace("|", "/")


def _is_plain(letter: str) -> bool:
    return letter.isprintable() or (unicodedata.category(letter) not in _COMMANDS and letter not in _REVERSING)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
