"""XML that others wrote: read in whatever encoding it says, or refused by the file's name. Torch-free."""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ...hub.errors import DataError

LARGEST_BYTES = 2**24  # an annotation has a few thousand
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'>]{1,40})["'][^>]{0,100}\?>""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}  # what programs write under the older name


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of a file.

    Raises:
        FileNotFoundError: there is none.
        DataError: it is no XML, too large, or in an encoding that has no name.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{path} has more than {LARGEST_BYTES >> 20} MB, which no annotation has.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is not readable as XML ({error}).") from None
    except (LookupError, ValueError):  # an encoding that the parser does not know
        return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> ElementTree.Element:
    content = content.removeprefix(codecs.BOM_UTF8)
    declaration = _DECLARATION.match(content)
    if declaration is None:
        raise DataError(f"{path} is not readable as XML; save it as UTF-8.")
    name = declaration[1].decode("ascii", "replace")
    try:
        text = content[declaration.end() :].decode(_encoding(name))
    except (LookupError, UnicodeError):
        raise DataError(f"{path} says that its encoding is {name!r}, which it is not; save it as UTF-8.") from None
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} is not readable as XML ({error}).") from None


def _encoding(name: str) -> str:
    """Python's name of an encoding; of one that nobody knows, such as "ansi", UTF-8, which most such files are in."""
    try:
        codecs.lookup(name)
    except LookupError:
        return "utf-8"
    return _WIDER.get(name.lower(), name)
