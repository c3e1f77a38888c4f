import copy
import json
import tomllib
from importlib.resources import files

import pytest
import timm

from goodviews.hub.catalogue.entries import Entry, find_entries, get_entry, parse, read_entries
from goodviews.hub.cli import main
from goodviews.hub.errors import UsageError
from goodviews.hub.importers.formats import FORMATS

METHODS = (
    "InfoMin CLSA|MoCo v1|MoCo v2|MoCo v3|SimCLR v1|SimCLR v2|SwAV|DeepCluster v2|BYOL|Barlow Twins|DINO|VICReg|PCL v1|"
    "PCL v2|InstDis|PIRL|CMC|Local Aggregation|CPC v2"
)
CONTENT = tomllib.loads(files("goodviews.hub.catalogue").joinpath("entries.toml").read_text(encoding="utf-8"))
FACTS = {
    "architecture",
    "epochs",
    "address",
    "file",
    "by_hand",
    "licence",
    "checksum",
    "preprocessing",
    "importer",
    "reason",
}


@pytest.fixture(params=read_entries(), ids=lambda entry: entry.name)
def entry(request) -> Entry:
    return request.param


@pytest.mark.parametrize("method", METHODS.replace("InfoMin CLSA", "InfoMin|CLSA").split("|"))
def test_every_method_has_an_entry(method):
    assert any(entry.method.startswith(method) for entry in read_entries())


def test_names_differ_and_cannot_be_a_path_or_a_repository():
    names = [entry.name for entry in read_entries()]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() for name in names)


def test_each_value_names_a_page_and_the_month_it_was_read(entry):
    facts = [getattr(entry, key) for key in FACTS]
    for fact in [*filter(None, facts), *entry.copies, *entry.numbers]:
        assert fact.source.page.startswith("https://")
        assert fact.source.read == "2026-11"


@pytest.mark.parametrize("at", [None, "no-such-page"])
@pytest.mark.parametrize("key", ["licence", "checksum", "address", "numbers"])
def test_a_value_without_a_source_is_refused(key, at):
    content = copy.deepcopy(CONTENT)
    planted = next(one for one in content["entry"] if one["name"] == "moco-v2-800")
    fact = planted[key][0] if key == "numbers" else planted[key]
    del fact["at"]
    if at:
        fact["at"] = at
    with pytest.raises(ValueError, match=f"entry moco-v2-800, {key}: it does not say where it was read"):
        parse(content)
    planted["licence"] = "mit"
    with pytest.raises(ValueError, match="moco-v2-800"):
        parse(content)


def test_what_can_be_imported_names_a_format_and_its_preprocessing_and_the_rest_a_reason(entry):
    if entry.importer is None:
        assert entry.reason is not None
        return
    layout = FORMATS[entry.importer.value]
    assert not layout.refusal
    assert entry.preprocessing.value == layout.preprocessing
    assert entry.address.value.startswith("https://")


def test_architectures_are_timms(entry):
    if entry.architecture:
        assert timm.is_model(entry.architecture.value)


def test_numbers_are_percentages_with_a_protocol(entry):
    for number in entry.numbers:
        assert 20 < number.value < 100
        assert len(number.protocol) > 10


def test_a_repositorys_licence_is_not_passed_off_as_the_weights():
    assert get_entry("byol-1000").licence.of == "weights"
    assert all(entry.licence.of in ("weights", "repository") for entry in read_entries() if entry.licence)


def test_search_takes_words_of_name_method_and_format():
    assert {entry.name for entry in find_entries("moco v2 800")} == {"moco-v2-800"}
    assert "swav-800" in {entry.name for entry in find_entries("SwAV")}
    assert find_entries("nothing-of-the-kind") == []


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(UsageError, match=r"no moco-v2-80; perhaps moco-v2-800 or"):
        get_entry("moco-v2-80")


def test_list_shows_entries_and_what_is_unverified(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["hub", "list", "--search", "local aggregation"])
    out = capsys.readouterr().out
    assert "localagg" in out
    assert "unverified" in out


def test_list_of_one_entry_names_the_pages(capsys):
    main(["hub", "list", "moco-v2-800"])
    out = capsys.readouterr().out
    assert "a04e12f8 (md5)  [1]" in out
    assert "[1] https://github.com/facebookresearch/moco/blob/" in out


def test_list_as_json_carries_the_sources(capsys):
    main(["hub", "list", "--search", "swav-800", "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert found["licence"]["value"] == "cc-by-nc-4.0"
    assert found["licence"]["source"]["read"] == "2026-11"
    assert found["checksum"] is None


def test_a_word_that_is_no_name_filters_the_list_as_it_does_for_recipes_and_tasks(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["hub", "list", "infomin"])
    out = capsys.readouterr().out
    assert "infomin-800" in out
    assert "moco-v2-800" not in out
    with pytest.raises(SystemExit):
        main(["hub", "list", "nothing-of-the-kind"])
    assert "The catalogue has no nothing-of-the-kind" in " ".join(capsys.readouterr().err.split())
