"""Lists are read in chunks by a fast parser: each entry is what Python's own reads, wherever a chunk ends."""

import json
from typing import Any

import numpy as np
import pytest

from goodviews.transfer.datasets import coco_entries
from goodviews.transfer.datasets.coco_entries import entries_of_lists

PLAIN = [{"id": number, "bbox": [0.1 * number, 2, 1e-7, 3.5e4]} for number in range(6)]
ODD = [
    {"id": 2**70, "score": -(2**64)},
    {"id": 1.0, "text": '}, {"id": 7}, {'},
    {"parts": [{"id": 1}, {"id": 2}], "text": 'a "quoted" \\ one'},
    {"text": "\ud800, a surrogate", "deep": [[[[{}]]]]},
    {"nan": float("nan"), "large": float("inf"), "truth": [True, None]},
    {},
]


def read(text: str) -> list[tuple[str, Any]]:
    found = list(entries_of_lists(text))
    for _, start, entry in found:
        again, _ = json.JSONDecoder().raw_decode(text, start)
        assert repr(again) == repr(entry)
    return [(name, entry) for name, _, entry in found]


@pytest.mark.parametrize("chunk", [1, 30, 60, 100, 200, 400, 10_000])
@pytest.mark.parametrize("form", [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
def test_entries_are_those_of_pythons_parser_for_every_chunk(
    monkeypatch: pytest.MonkeyPatch, chunk: int, form: dict[str, Any]
):
    monkeypatch.setattr(coco_entries, "_CHUNK", chunk)
    lists = {"images": PLAIN, "annotations": [*PLAIN, *ODD, *PLAIN, *ODD[::-1]], "categories": ODD[:1]}
    expected = [(name, entry) for name, entries in lists.items() for entry in entries]
    assert repr(read(json.dumps(lists, **form))) == repr(expected)


def test_usual_entries_are_read_many_at_once(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    one = coco_entries._one
    monkeypatch.setattr(coco_entries, "_one", lambda text, place: calls.append(place) or one(text, place))
    monkeypatch.setattr(coco_entries, "_CHUNK", 1_000)
    text = json.dumps({"images": PLAIN[:1], "annotations": PLAIN * 200, "categories": []})
    assert len(read(text)) == 1_201
    assert len(calls) < 30, "only around the ends of the lists"


def test_numbers_are_the_nearest_floats_as_pythons_parser_has_them():
    random = np.random.default_rng(0)
    numbers = [*random.random(5_000), *random.random(5_000).round(2) * 640, *10.0 ** random.uniform(-300, 300, 5_000)]
    text = ", ".join(f'{{"a": {number:.{digits}g}}}' for number in numbers for digits in (5, 17, 25))
    whole = f'{{"annotations": [{text}], "images": [], "categories": []}}'
    assert [entry["a"] for _, entry in read(whole)] == [entry["a"] for entry in json.loads(whole)["annotations"]]


def test_an_entry_that_is_no_object_is_refused():
    with pytest.raises(ValueError, match="no object"):
        list(
            entries_of_lists(
                f'{{"images": [{{}}, 1, {{}}, {{}}], "annotations": {json.dumps(PLAIN)}, "categories": []}}'
            )
        )
