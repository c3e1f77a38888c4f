"""Millions of names in one block."""

import os

from goodviews.hub.sources.packed_names import Names


def test_names_of_any_kind_come_back_as_they_were():
    names = ["a b.jpg", "ä/ö.jpg", "line\nfeed.jpg", os.fsdecode(b"\xff.jpg"), ""]
    assert list(Names.of(names)) == names
