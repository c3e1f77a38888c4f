"""Frozen tasks take an exported encoder; the others say that they do not."""

import pytest

from goodviews.hub.errors import ArtifactError, UsageError
from goodviews.hub.onnx_encoder import OnnxEncoder, is_exported
from goodviews.transfer import commands
from goodviews.transfer.classification.knn import knn
from goodviews.transfer.classification.linear import linear
from goodviews.transfer.registry import TASKS, find_task

pytest.importorskip("onnxruntime")


def test_exported_and_original_agree(encoder, exported, colours, tmp_path):
    ours = knn().run(OnnxEncoder(exported), colours, tmp_path / "onnx")
    theirs = knn().run(encoder, colours, tmp_path / "torch")
    assert ours.metrics == theirs.metrics
    assert ours.protocol == theirs.protocol
    assert ours.encoder.weights_sha256 != theirs.encoder.weights_sha256
    assert ours.encoder.name == "random:resnet18@0 (model_pixels.onnx)"


def test_a_probe_of_unit_vectors_is_another_protocol(encoder, exported, colours, tmp_path):
    report = linear().run(OnnxEncoder(exported), colours, tmp_path / "onnx")
    assert report.protocol.settings["unit_length_features"] is True
    assert report.protocol != linear().run(encoder, colours, tmp_path / "torch").protocol
    assert report.metrics["top1"] == 100.0


def test_every_task_takes_an_exported_encoder_or_says_why_not(exported, tmp_path):
    frozen = {name for name, make in TASKS.items() if make().takes_exported}
    assert {"knn", "linear", "linear-cached", "few-shot-5way-5shot", "retrieval", "voc07-map"} <= frozen
    for name in TASKS.keys() - frozen:
        with pytest.raises(UsageError, match="give the encoder folder it was exported from"):
            find_task(name).run(OnnxEncoder(exported), tmp_path, tmp_path / "run")


def test_the_command_takes_an_exported_folder(exported, colours, tmp_path):
    commands.transfer("knn", encoder=str(exported), data=colours, out=tmp_path / "run")
    assert (tmp_path / "run" / "report.json").is_file()
    with pytest.raises(UsageError, match="leave --device cuda out"):
        commands.transfer("knn", encoder=str(exported), data=colours, out=tmp_path / "other", device="cuda")


def test_a_damaged_file_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    assert is_exported(tmp_path)
    with pytest.raises(ArtifactError, match="not a complete ONNX file"):
        OnnxEncoder(tmp_path)


def test_cached_features_belong_to_one_file(encoder, exported, colours, tmp_path):
    from goodviews.transfer.task import Setup

    setup = Setup(cache=tmp_path / "cache")
    knn().run(encoder, colours, tmp_path / "a", setup=setup)
    knn().run(OnnxEncoder(exported), colours, tmp_path / "b", setup=setup)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 4
