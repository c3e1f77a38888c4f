"""What `goodviews recipes` lists, hides and shows."""

import json

import pytest

from goodviews.hub import cli
from goodviews.hub.errors import UsageError
from goodviews.pretrain.recipes.listing import FOR_PHOTOS, kind_of
from goodviews.pretrain.recipes.registry import RECIPES, SHORT_NAMES


def printed(capsys, *words: str) -> str:
    cli.run(["recipes", *words])
    return capsys.readouterr().out


def test_published_settings_come_first_and_smoke_variants_are_hidden(capsys):
    text = printed(capsys)
    rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
    names = [row[0] for row in rows if row[0] in RECIPES]
    kinds = [kind_of(name) for name in names]
    assert kinds == ["published"] * kinds.count("published") + ["ours"] * kinds.count("ours")
    assert set(names) == {name for name in RECIPES if kind_of(name) != "smoke"} - {*SHORT_NAMES}
    assert "(--all). A recipe whole: goodviews recipes NAME." in text
    assert {name for name in RECIPES if name not in SHORT_NAMES} <= set(printed(capsys, "--all").split())


def test_names_in_80_columns_are_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "clsa_multi_imagenette_cpu" in printed(capsys)


def test_a_part_of_a_name_lists_what_has_it(capsys):
    names = [line.split("\t")[0] for line in printed(capsys, "InfoMin").splitlines() if line.startswith("infomin")]
    assert set(names[:3]) == {"infomin_100", "infomin_200", "infomin_800"}
    assert "infomin_smoke" not in names
    assert "infomin_smoke\t" in printed(capsys, "n_smoke")  # nothing else has it
    with pytest.raises(UsageError, match=r"No recipe has infomin_20x in its name; there is .*infomin_200"):
        cli.run(["recipes", "infomin_20x"])


def test_a_whole_name_shows_views_strengths_and_the_lab_note(capsys):
    text = printed(capsys, "infomin_200")
    assert "views query, key\t224 px, random crop of 0.2 to 1 of the photo, bilinear; flip p 0.5; color jitter" in text
    assert "rand augment n 2, magnitude 10" in text
    assert "objective\tInfoMin: temperature 0.15, jigsaw weight 0.5" in text
    assert "memory\tQueue: size 65536" in text
    assert "Published: 67.4 % ImageNet top-1 at 100 epochs" in text


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_shown(name, capsys):
    found = json.loads(printed(capsys, name, "--json"))
    one = found if isinstance(found, dict) else found[0]
    assert one["kind"] == kind_of(one["name"])
    assert "object at" not in printed(capsys, name)


def test_the_list_as_json_holds_what_the_table_does(capsys):
    assert json.loads(printed(capsys, "clsa_multi_200", "--json"))["recipe"]["batch_size"] == 256
    listed = json.loads(printed(capsys, "clsa_multi", "--json"))
    assert {"clsa_multi_200", "clsa_multi_800"} <= {each["name"] for each in listed}
    assert all(each["epochs"] for each in listed)


def test_what_is_proposed_for_photos_is_there(capsys):
    assert {recipe for _, recipe, _ in FOR_PHOTOS} <= set(RECIPES)
    assert "Which one for my photos?" in printed(capsys)
