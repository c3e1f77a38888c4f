"""What `goodviews tasks` lists, hides and shows."""

import json

import pytest

from goodviews.hub import cli
from goodviews.hub.errors import UsageError
from goodviews.transfer.listing import FOR_DATA
from goodviews.transfer.registry import TASKS, whole_task


def printed(capsys, *words: str) -> str:
    cli.run(["tasks", *words])
    return capsys.readouterr().out


def names(text: str) -> set[str]:
    return {line.split("\t")[0] for line in text.splitlines()} & set(TASKS)


def test_tasks_on_a_short_budget_are_hidden_unless_asked_for(capsys):
    text = printed(capsys)
    assert names(text) == {name for name in TASKS if whole_task(name) == name}
    assert "are not listed: --all" in text
    assert "(protocol voc07+12-c4-24k)" in text
    assert names(printed(capsys, "--all")) == set(TASKS)


def test_a_part_of_a_name_lists_what_has_it(capsys):
    assert names(printed(capsys, "few-shot")) == {name for name in TASKS if name.startswith("few-shot")}
    assert names(printed(capsys, "fpn-1x-smoke")) == {"coco-fpn-1x-smoke"}  # nothing else has it
    with pytest.raises(UsageError, match=r"No task has voc-detektion in its name; there is .*voc-detection"):
        cli.run(["tasks", "voc-detektion"])


def test_a_whole_name_shows_the_settings_that_fix_the_number(capsys):
    text = printed(capsys, "knn")
    assert "fine-tunes\tnothing" in text
    assert "k\t20" in text
    assert "--set NAME=VALUE" in text
    assert "iterations\t24000" in printed(capsys, "voc-detection")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_shown(name, capsys):
    assert json.loads(printed(capsys, name, "--json"))["name"] == name
    assert name in printed(capsys, name)


def test_what_is_proposed_for_data_is_there(capsys):
    assert {task for _, task, _ in FOR_DATA} <= set(TASKS)
    assert "Which one for my data?" in printed(capsys)
