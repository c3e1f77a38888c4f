"""goodviews:mini, the encoder that ships: whole, small, without a network, on terms of its own."""

import pytest

from goodviews.hub import check, from_pretrained
from goodviews.hub.cli import run
from goodviews.hub.errors import UsageError
from goodviews.hub.loading.bundled import BUNDLED


def test_it_loads_by_its_name_and_is_sound():
    encoder = from_pretrained("goodviews:mini")
    assert encoder.source == "goodviews:mini"
    assert check(BUNDLED["mini"]) == []


def test_it_takes_at_most_eight_megabytes():
    assert sum(file.stat().st_size for file in BUNDLED["mini"].rglob("*")) <= 8e6


def test_its_terms_are_named_in_the_folder_and_apart_from_the_codes():
    encoder = from_pretrained("goodviews:mini")
    assert encoder.origin.licence == "LicenseRef-ImageNet-research"
    assert "research" in (BUNDLED["mini"] / "LICENSE").read_text("utf-8")


def test_another_name_is_refused_with_those_that_ship():
    with pytest.raises(UsageError, match="there is goodviews:mini"):
        from_pretrained("goodviews:maxi")


def test_the_command_line_knows_it(capsys):
    run(["hub", "info", "goodviews:mini"])
    assert "resnet18" in capsys.readouterr().out
