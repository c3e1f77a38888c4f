"""The demo's commands, their order and their record; none of them runs here."""

import json

import pytest

from goodviews.hub import cli
from goodviews.hub.demo import chain as demo
from goodviews.hub.errors import OutputExists, UsageError
from goodviews.hub.files.atomic import write_json


def test_photos_that_the_chain_names_ship_and_are_not_learned_from():
    named = [demo.VIEWED, *demo.QUERIES.values()]
    assert all((demo.PHOTOS / name).is_file() and name.startswith("val/") for name in named)


def test_every_step_is_a_command_of_the_front_door(tmp_path):
    for step in demo.steps(tmp_path):
        assert step.argv[0] in cli.COMMANDS or " ".join(step.argv[:2]) in cli.COMMANDS


def test_steps_run_in_order_with_their_own_command_line_and_are_noted(tmp_path, monkeypatch, capsys):
    out, ran = tmp_path / "out", []
    monkeypatch.setattr(cli, "run", lambda argv: ran.append((tuple(argv), tuple(demo.sys.argv[1:]))))
    monkeypatch.setattr("goodviews.hub.demo.page.write_page", lambda folder, searches: folder / "report.html")
    demo.demo(out=out)
    assert [argv for argv, _ in ran] == [line for _, line in ran] == [step.argv for step in demo.steps(out)]
    noted = json.loads((out / "demo.json").read_text())["steps"]
    assert [step["command"] for step in noted] == [step.command for step in demo.steps(out)]
    assert all(step["command"] in capsys.readouterr().out for step in noted[:1])


def test_a_failed_step_stops_the_demo_without_a_page(tmp_path, monkeypatch):
    def refuse(argv):
        raise UsageError("There is no recipe of this name.")

    monkeypatch.setattr(cli, "run", refuse)
    with pytest.raises(UsageError, match="no recipe"):
        demo.demo(out=tmp_path / "out")
    assert not (tmp_path / "out" / "report.html").exists()


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExists, match="exists already"):
        demo.demo(out=tmp_path)
    with pytest.raises(OutputExists, match=r"was not written by this command \(demo\)"):
        demo.demo(out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_an_earlier_demo_is_replaced_when_asked_to(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_json(out / "demo.json", {"steps": []})
    (out / "old.txt").write_text("old")
    monkeypatch.setattr(cli, "run", lambda argv: None)
    monkeypatch.setattr("goodviews.hub.demo.page.write_page", lambda folder, searches: folder / "report.html")
    demo.demo(out=out, overwrite=True)
    assert not (out / "old.txt").exists()
