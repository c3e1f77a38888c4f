"""Command lines that the front door does not know, and the sentence that answers them."""

import pytest

from goodviews.hub.cli import main

PRETRAIN = ["pretrain", "infomin_200", "--data", "d", "--out", "r"]


def answer(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("error: ")
    assert sentence.count("\n") == 1
    return sentence


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        ([*PRETRAIN, "--lr", "0.1"], "give --set optimizer.lr=0.03."),
        ([*PRETRAIN, "--learning_rate=0.1"], "give --set optimizer.lr=0.03."),
        ([*PRETRAIN, "--arch", "resnet18"], "give --set architecture=resnet50."),
        ([*PRETRAIN, "--num-workers", "4"], "give --workers."),
        ([*PRETRAIN, "--cache"], "give --keep."),
        ([*PRETRAIN, "--moco-t", "0.1"], "give --set objective.temperature=0.2."),
        ([*PRETRAIN, "--in-chans", "1"], "photos are read as RGB"),
        (["transfer", "knn", "--lr", "0.1"], "settings of a task are changed with --set NAME=VALUE"),
        (["transfer", "knn", "--model", "x"], "give --encoder timm:resnet50.a1_in1k."),
        (["search", "i", "x.jpg", "--topk", "3"], "give --k."),
    ],
)
def test_an_option_of_another_program_is_answered_with_ours(argv, ours, capsys):
    sentence = answer(argv, capsys)
    assert f"goodviews {argv[0]} has no option --" in sentence
    assert ours in sentence
    assert sentence.endswith(f"See goodviews {argv[0]} --help.\n")


def test_no_option_is_proposed_that_the_command_does_not_have(capsys):
    assert "give" not in answer(["recipes", "--lr", "0.1"], capsys)


def test_what_is_missing_is_called_as_the_help_calls_it(capsys):
    assert answer(["pretrain"], capsys) == "error: goodviews pretrain needs RECIPE. See goodviews pretrain --help.\n"
    assert "needs --out." in answer(PRETRAIN[:4], capsys)
