import inspect
import re
import shlex
import sys
from importlib import import_module

import pytest

from goodviews.hub import cli, from_pretrained, save
from goodviews.hub.cli import main
from goodviews.hub.errors import GoodviewsError, MissingExtra
from goodviews.hub.reports import provenance


def exit_status(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    return int(stopped.value.code or 0)


def help_of(words: str, capsys) -> str:
    main([*words.split(), "--help"])
    return capsys.readouterr().out


def test_help_lists_a_command_in_a_line_and_the_command_itself_tells_all_with_an_example(capsys):
    assert "Example:" not in help_of("", capsys)
    assert "Example: goodviews views show infomin_200 --image" in help_of("views show", capsys)
    assert "sweep" in help_of("views", capsys)


def test_help_that_goes_elsewhere_than_to_a_screen_is_a_line_for_each_option_and_names_defaults_that_do_something(
    capsys,
):
    (data,) = (line for line in help_of("pretrain", capsys).splitlines() if "--data STR:" in line)
    assert data.endswith("hf:NAME[:SPLIT] of Hugging Face datasets. [required]")
    assert "[default: auto]" in help_of("pretrain", capsys)
    assert not re.search(r"default: (False|None|\(\)|\"|\])", help_of("pretrain", capsys) + help_of("search", capsys))


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_every_command_has_one_example_that_the_front_door_understands(words):
    module, name = cli.COMMANDS[words][0].split(":")
    lines = (inspect.getdoc(getattr(import_module(module), name)) or "").splitlines()
    (example,) = (line.removeprefix("Example: ") for line in lines if line.startswith("Example: "))
    before, _, argv = example.partition("goodviews ")
    assert not before.replace("GOODVIEWS_HUB_TOKEN=secret ", "")
    assert argv.startswith(words)
    tokens = shlex.split(argv)
    cli._app(tokens).parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("words", cli.COMMANDS)
def test_every_line_of_help_begins_with_a_capital(words):
    module, name = cli.COMMANDS[words][0].split(":")
    text = inspect.getdoc(getattr(import_module(module), name)) or ""
    options = re.findall(r"^    (\w+): (.)", text.partition("Args:")[2], flags=re.MULTILINE)
    assert [option for option, first in options if not first.isupper()] == []
    assert cli.COMMANDS[words][1][0].isupper()


def test_the_same_option_means_the_same_in_every_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    alike = {
        "--workers": "Processes that load images, 0 for none beside the command's own",
        "--device": "What computes: auto is the GPU if there is one; else cpu",
    }
    seen = dict.fromkeys(alike, 0)
    for words in cli.COMMANDS:
        text = " ".join(help_of(words, capsys).split())
        for option, meaning in alike.items():
            if f" {option} " in text:
                seen[option] += 1
                assert meaning in text, f"{words} {option}"
    assert all(count >= 4 for count in seen.values())


def test_an_error_is_printed_whole_with_its_brackets(monkeypatch, capsys):
    def fails(argv):
        raise GoodviewsError("There is no [bold] in photos[0].")

    monkeypatch.setattr(cli, "run", fails)
    assert exit_status(["count"]) == 1
    assert capsys.readouterr().err == "error: There is no [bold] in photos[0].\n"


def test_another_process_than_the_first_says_its_error_later_and_which_one_it_is(monkeypatch, capsys):
    def fails(argv):
        raise GoodviewsError("No such photo.")

    waits: list[float] = []
    monkeypatch.setattr(cli, "run", fails)
    monkeypatch.setattr(cli.time, "sleep", waits.append)
    monkeypatch.setenv("RANK", "1")
    assert exit_status(["count"]) == 1
    assert capsys.readouterr().err == "error in process 1: No such photo.\n"
    assert waits == [cli.FIRST_SPEAKS_S]


def test_a_missing_package_is_named_with_a_command_that_installs_it_and_not_a_stranger_s():
    for extra, wanted in (
        ("log", "tensorboard"),
        ("onnx", "onnxscript"),
        ("retrieval", "faiss-cpu"),
        ("serve", "uvicorn"),
    ):
        sentence = str(MissingExtra("abacus", extra=extra, needed_for="Counting"))
        assert sentence.startswith('Counting needs abacus, which is not installed: pip install "')
        assert f'"{wanted}' in sentence
        assert "goodviews" not in sentence
    assert str(MissingExtra("abacus", extra="counting", needed_for="Counting")).endswith('pip install "abacus"')


def test_info_says_what_an_encoder_is(capsys):
    main(["hub", "info", "random:resnet18"])
    assert "512 features, 11.2 M parameters" in capsys.readouterr().out


def test_check_passes_a_sound_folder_and_fails_a_changed_one(tmp_path, capsys):
    folder = save(from_pretrained("random:resnet18"), tmp_path / "encoder")
    main(["hub", "check", str(folder)])
    assert "is sound" in capsys.readouterr().out
    (folder / "preprocessor_config.json").unlink()
    assert exit_status(["hub", "check", str(folder)]) == 1
    assert "preprocessor_config.json is missing" in capsys.readouterr().err


def test_expected_failures_are_one_sentence_and_status_1(capsys, tmp_path):
    assert exit_status(["hub", "check", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_place_that_cannot_be_is_a_sentence_and_status_1(capsys, tmp_path):
    file, loop = tmp_path / "file.csv", tmp_path / "loop"
    file.write_text("mine")
    loop.symlink_to(loop)
    for out, why in ((file / "a", "is a file, not a folder"), (file / "a" / "b", "Not a directory")):
        for command in (["hub", "halve", "goodviews:mini", "--out", str(out)], ["hub", "serve", str(out)]):
            assert exit_status(command) == 1
            sentence = capsys.readouterr().err
            assert sentence.startswith("error: ")
            assert why in sentence or "Not a directory" in sentence
            assert len(sentence.splitlines()) == 1
    assert exit_status(["hub", "halve", "goodviews:mini", "--out", str(loop / "a")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert file.read_text() == "mine"


def test_unknown_commands_and_options_are_usage_errors(capsys):
    assert exit_status(["nonsense"]) == 2
    assert exit_status(["hub", "info"]) == 2
    assert exit_status(["hub", "info", "x", "--colour", "red"]) == 2


def test_command_that_ran_as_a_module_is_recorded_as_one(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/lib/goodviews/pretrain/__main__.py", "clsa_200", "--data", "/data/photos"])
    assert provenance.command() == "python -m goodviews.pretrain clsa_200 --data photos"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/goodviews", "recipes"])
    assert provenance.command() == "goodviews recipes"


def test_ctrl_c_ends_a_command_with_a_word(monkeypatch, capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("goodviews.hub.commands.doctor", interrupted)
    assert exit_status(["doctor"]) == 130
    assert capsys.readouterr().err == "error: Stopped.\n"
