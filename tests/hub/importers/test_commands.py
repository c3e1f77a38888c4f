import json

import pytest

from goodviews.hub import check
from goodviews.hub.cli import main
from goodviews.hub.identity import sha256


def exit_status(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    return int(stopped.value.code or 0)


@pytest.fixture
def checkpoint(network, save_checkpoint):
    state = {f"module.encoder_q.{name}": tensor for name, tensor in network.state_dict().items()}
    state["module.queue"] = state["module.encoder_q.conv1.weight"]
    return save_checkpoint({"epoch": 200, "state_dict": state, "optimizer": {}}, "moco_v2.pth.tar")


def test_import_writes_a_sound_folder_that_names_its_source(checkpoint, tmp_path, capsys):
    main(["hub", "import", str(checkpoint), "--out", str(tmp_path / "e"), "--licence", "cc-by-nc-4.0"])
    out = capsys.readouterr().out
    assert "318 tensors went to" in out
    assert "module.encoder_q.conv1.weight" in out
    assert "left behind (queue of keys): module.queue" in out
    assert "not read: epoch, optimizer" in out
    assert check(tmp_path / "e") == []
    config = json.loads((tmp_path / "e" / "config.json").read_text())
    digest = sha256(checkpoint)
    assert config["goodviews"]["imported"] == {"file": "moco_v2.pth.tar", "sha256": digest, "format": "moco"}
    assert (config["goodviews"]["name"], config["goodviews"]["licence"]) == ("moco_v2", "cc-by-nc-4.0")
    card = (tmp_path / "e" / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card
    assert f"from `moco_v2.pth.tar` (moco), sha256 `{digest[:16]}" in card
    report = json.loads((tmp_path / "e" / "import.json").read_text())
    assert report["left_behind"] == {"module.queue": "queue of keys"}
    assert report["tensors"]["encoder"]["layer4.2.bn3.bias"] == "module.encoder_q.layer4.2.bn3.bias"


def test_import_keeps_a_folder_that_exists_and_fails_in_one_sentence(checkpoint, tmp_path, capsys):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "mine").touch()
    assert exit_status(["hub", "import", str(checkpoint), "--out", str(tmp_path / "e")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert exit_status(["hub", "import", str(tmp_path / "none.pth"), "--out", str(tmp_path / "f")]) == 1
    assert "There is no checkpoint" in capsys.readouterr().err


def test_convert_says_how_detectron2_must_be_set(checkpoint, tmp_path, capsys):
    main(["hub", "import", str(checkpoint), "--out", str(tmp_path / "e")])
    capsys.readouterr()
    main(["hub", "convert", str(tmp_path / "e"), "--to", "detectron2", "--out", str(tmp_path / "e.pkl")])
    out = capsys.readouterr().out
    assert "MODEL.PIXEL_MEAN [123.675, 116.28, 103.53]" in out
    assert (tmp_path / "e.pkl").is_file()
