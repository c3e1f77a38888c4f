"""Walks through the lists of a file in COCO's format: entry by entry, of which a few are Python objects at once.

Torch-free.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from pydantic_core import from_json

LISTS = ("images", "annotations", "categories")
_CHUNK = 1 << 16  # characters that are decoded at once; with their objects they fit into a cache
_decode, _space = json.JSONDecoder().raw_decode, re.compile(r"[ \t\n\r]*").match
_after_entry = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*").match
_between_objects = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\{").finditer

Entry = dict[str, Any]
_Found = tuple[list[int], list[Any], int]  # where entries begin, they, and where the last one ends


def entries_of_lists(text: str) -> Iterator[tuple[str, int, Entry]]:
    """Each entry of each of the lists in a JSON object, with the list's name and where the entry begins.

    Raises:
        ValueError: the file is not such an object, or is unusual, as with a key that is there twice.
    """
    missing, place, sign = set(LISTS), _after("{", text, 0), ","
    while sign == ",":
        name, place = _decode(text, _skip(text, place))
        place = _skip(text, _after(":", text, place))
        if name in missing:
            missing.remove(name)
            place = yield from _entries(name, text, place)
        elif name in LISTS:
            raise ValueError("a list is there twice")
        else:
            _, place = _decode(text, place)
        place = _skip(text, place)
        sign, place = text[place : place + 1], place + 1
    if sign != "}" or missing or _skip(text, place) != len(text):
        raise ValueError("not an object with all lists")


def _entries(name: str, text: str, place: int) -> Generator[tuple[str, int, Entry], None, int]:
    """The entries of the list at `place`; returns where it ends."""
    place = _skip(text, _after("[", text, place))
    if text[place : place + 1] == "]":
        return place + 1
    unusual_until = 0
    while True:
        found = None if place < unusual_until else _many(text, place)
        if found is None:
            unusual_until = max(unusual_until, place + _CHUNK)
            found = _one(text, place)
        starts, entries, end = found
        for start, entry in zip(starts, entries, strict=True):
            if type(entry) is not dict:
                raise ValueError("an entry is no object")
            yield name, start, entry
        sign = _after_entry(text, end)
        if sign is None:
            raise ValueError("neither another entry nor an end")
        place = sign.end()
        if sign[1] == "]":
            return place


def _one(text: str, place: int) -> _Found:
    entry, end = _decode(text, place)
    return [place], [entry], end


def _many(text: str, place: int) -> _Found | None:
    """A chunk of entries, by a parser that is faster than Python's.

    None where it takes them not, or where what looks like the sign between two entries is within one, or past the
    list: then there are not as many entries.
    """
    chunk = text[place : place + _CHUNK]
    signs = [*_between_objects(chunk)]
    if not signs:
        return None
    end = signs[-1].start() + 1
    try:
        entries = from_json(f"[{chunk[:end]}]".encode())  # UTF-8 has no lone surrogates
    except ValueError:
        return None
    starts = [place, *(place + sign.end() - 1 for sign in signs[:-1])]
    return (starts, entries, place + end) if len(entries) == len(starts) else None


def _after(sign: str, text: str, place: int) -> int:
    place = _skip(text, place)
    if text[place : place + 1] != sign:
        raise ValueError(f"no {sign}")
    return place + 1


def _skip(text: str, place: int) -> int:
    """Past white space."""
    found = _space(text, place)
    assert found, "the pattern fits anything"
    return found.end()
