"""One door, one contract: what runs an encoder does not matter to whoever only wants vectors."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

import goodviews.hub.encoder
from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import ArtifactError, DataError, Encoder, OnnxEncoder, PhotoEncoder, UsageError, open_encoder, save
from goodviews.hub.images import SkippedImages

CONTRACT = [name for name in vars(PhotoEncoder) if not name.startswith("_")]


@pytest.fixture
def folder(spread_encoder: Encoder, tmp_path: Path) -> Path:
    return save(spread_encoder, tmp_path / "encoder")


def test_the_path_tells_what_runs_it(folder: Path, exported: Export):
    assert isinstance(open_encoder(folder), Encoder)
    assert isinstance(open_encoder(str(exported.folder)), OnnxEncoder)
    assert isinstance(open_encoder(exported.folder / "model.onnx"), OnnxEncoder)
    assert open_encoder("random:resnet18-32px@1").source == "random:resnet18-32px@1"


def test_source_opens_the_same_encoder_again(folder: Path, exported: Export, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    for name in ("encoder", exported.folder):
        encoder = open_encoder(name)
        monkeypatch.chdir("/")
        assert open_encoder(encoder.source or "").id.differences(encoder.id) == []


def test_both_encoders_satisfy_the_contract_themselves(spread_encoder: Encoder, exported: Export):
    for encoder in (spread_encoder, OnnxEncoder(exported.folder)):
        assert [name for name in CONTRACT if not hasattr(encoder, name)] == []
        own, asked = inspect.signature(encoder.encode).parameters, inspect.signature(PhotoEncoder.encode).parameters
        assert list(own) == list(asked)[1:]


def test_an_encoder_and_its_export_have_one_identity_and_give_one_set_of_vectors(
    spread_encoder: Encoder, exported: Export, gallery: list[Path]
):
    runtime = OnnxEncoder(exported.folder)
    assert spread_encoder.id.differences(runtime.id) == []
    np.testing.assert_allclose(runtime.encode(gallery[:3]), spread_encoder.encode(gallery[:3]), atol=1e-5)


def test_a_report_tells_an_encoder_from_its_export_and_the_export_files_from_each_other(
    spread_encoder: Encoder, exported: Export
):
    names = ("model.onnx", "model_pixels.onnx")
    ids = [spread_encoder.report_id(), *(OnnxEncoder(exported.folder / name).report_id() for name in names)]
    assert len({known.weights_sha256 for known in ids}) == 3
    assert [known.name for known in ids] == ["spread-0", "spread-0 (model.onnx)", "spread-0 (model_pixels.onnx)"]
    assert all(known.fingerprint is None for known in ids)


def test_an_encoder_as_its_folder_records_it_is_not_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    expected = open_encoder(folder).report_id().weights_sha256
    monkeypatch.setattr(goodviews.hub.encoder, "weights_sha256", forbidden)
    assert open_encoder(folder).id.weights_sha256 == expected


def test_an_encoder_that_changed_since_it_was_read_has_the_identity_of_what_it_is_now(folder: Path):
    encoder = open_encoder(folder)
    assert isinstance(encoder, Encoder)
    recorded = encoder.id
    with torch.no_grad():
        encoder.backbone.conv1.weight.mul_(1.5)
    assert encoder.id.weights_sha256 == encoder.report_id().weights_sha256 != recorded.weights_sha256
    assert len(recorded.differences(encoder.id)) == 2


def test_weights_swapped_behind_the_folders_back_are_not_taken_for_those_it_records(
    folder: Path, other_encoder: Encoder, tmp_path: Path
):
    other = save(other_encoder, tmp_path / "other")
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match="is recorded: it was changed or is damaged"):
        open_encoder(folder)


def test_an_exported_encoder_computes_on_the_processor_only(exported: Export):
    with pytest.raises(UsageError, match="leave --device cuda out"):
        open_encoder(exported.folder, device="cuda")


@pytest.mark.parametrize("name", ["absent", "absent.onnx"])
def test_a_name_that_leads_nowhere_is_one_sentence(name: str, tmp_path: Path):
    with pytest.raises(ArtifactError) as refused:
        open_encoder(tmp_path / name)
    assert "\n" not in str(refused.value)


def forbidden(*_: object) -> str:
    raise AssertionError("the weights were hashed")


@pytest.fixture(params=["pytorch", "onnx"])
def either(request: pytest.FixtureRequest, spread_encoder: Encoder, exported: Export) -> PhotoEncoder:
    return spread_encoder if request.param == "pytorch" else OnnxEncoder(exported.folder)


def test_bytes_of_files_generators_and_single_use_iterables_encode_as_lists_of_paths(
    either: PhotoEncoder, gallery: list[Path]
):
    wanted = either.encode(gallery[:2])
    for images in ([path.read_bytes() for path in gallery[:2]], (path for path in gallery[:2]), map(str, gallery[:2])):
        np.testing.assert_array_equal(either.encode(images), wanted)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([b"\xff\xd8" + bytes(100_000)], "image 0: a file of 100002 bytes"),
        ([None], "image 0.* is of the type NoneType; give paths"),
        ([torch.zeros(3, 8, 8)], "image 0.* is of the type Tensor"),
        ([3.5], "image 0.* is of the type float"),
        (["https://example.com/a.jpg"], "https://example.com/a.jpg is an address, and nothing is downloaded"),
        ([np.zeros((8, 8), np.uint8)], r"image 0: An image array must be \(H, W, 3\)"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_is_no_image_is_refused_in_a_short_sentence_by_both_encoders(either: PhotoEncoder, images, sentence):
    with pytest.raises(DataError, match=sentence) as refused:
        either.encode(images)
    assert len(str(refused.value)) < 250
    skipped = SkippedImages()
    assert either.encode(images, skipped=skipped).shape == (0, either.num_features)
    assert skipped.positions == [0]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (None, "this is of the type NoneType"),
        (7, "this is of the type int"),
        ({"a": "a.jpg"}, "this is of the type dict"),
        (torch.zeros(1, 3, 8, 8), "encode takes no tensors"),
        ("a.jpg", "put the single one into a list"),
        (b"\xff\xd8" * 10_000, "put the single one into a list"),
        (np.zeros((8, 8, 3), np.uint8), "put the single one into a list"),
    ],
)
def test_what_is_no_list_of_images_is_refused_in_a_short_sentence_by_both_encoders(
    either: PhotoEncoder, images, sentence
):
    with pytest.raises(UsageError, match=sentence) as refused:
        either.encode(images)
    assert len(str(refused.value)) < 250
