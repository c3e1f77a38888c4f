import json
import shutil

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from goodviews.hub import (
    ArtifactError,
    Encoder,
    Origin,
    OutputExists,
    Preprocessing,
    check,
    from_pretrained,
    load,
    save,
)
from goodviews.hub.backbone import build_backbone
from goodviews.hub.errors import UsageError
from goodviews.hub.identity import sha256

pytestmark = pytest.mark.oldest

PREPROCESSING = Preprocessing(96, 0.8, "bicubic", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(5)
    return Encoder(build_backbone("resnet18"), PREPROCESSING, Origin("tiny", recipe={"name": "r"}, epochs=2.0))


@pytest.fixture(scope="module")
def written(encoder, tmp_path_factory):
    return save(encoder, tmp_path_factory.mktemp("artifact") / "encoder")


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "encoder")


def test_a_folder_read_back_is_the_same_encoder(encoder, written):
    again = load(written)
    assert (again.preprocessing, again.origin) == (encoder.preprocessing, encoder.origin)
    assert again.report_id() == encoder.report_id()
    assert again.report_id().weights_sha256 == sha256(written / "model.safetensors")
    batch = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(again(batch), encoder(batch), rtol=0, atol=0)
    assert check(written) == []


def test_writing_twice_gives_equal_bytes_also_from_channels_last(encoder, written, tmp_path):
    encoder.to(memory_format=torch.channels_last)
    again = save(encoder, tmp_path / "again")
    encoder.to(memory_format=torch.contiguous_format)
    assert (again / "model.safetensors").read_bytes() == (written / "model.safetensors").read_bytes()


def test_timm_reads_the_folder_with_no_difference(encoder, written):
    batch = torch.randn(2, 3, 96, 96)
    model = timm.create_model(f"local-dir:{written}", pretrained=True).eval()
    with torch.no_grad():
        assert (model(batch) - encoder(batch)).abs().max() == 0
    config = timm.data.resolve_model_data_config(model)
    assert (tuple(config["input_size"]), config["interpolation"]) == ((3, 96, 96), "bicubic")
    assert (tuple(config["mean"]), config["crop_pct"]) == (PREPROCESSING.mean, 0.8)


def test_timm_takes_its_feature_maps_and_a_new_head(encoder, written):
    batch = torch.randn(1, 3, 96, 96)
    maps = timm.create_model(f"local-dir:{written}", pretrained=True, features_only=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(maps(batch)[-1], encoder.feature_maps(batch)["res5"], rtol=0, atol=0)
    assert timm.create_model(f"local-dir:{written}", pretrained=True, num_classes=7)(batch).shape == (1, 7)


def test_transformers_reads_the_folder_with_no_difference(encoder, written):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (130, 170, 3), dtype=np.uint8))
    processor = transformers.AutoImageProcessor.from_pretrained(written)
    pixels = processor(photo, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels[0], encoder.preprocess(photo), rtol=0, atol=0)
    with torch.no_grad():
        found = transformers.AutoModel.from_pretrained(written).eval()(pixels).pooler_output
        torch.testing.assert_close(found, encoder(pixels), rtol=0, atol=0)


def test_network_of_another_width_is_rebuilt_by_every_reader(tmp_path):
    narrow = Encoder(build_backbone("resnet18", width=0.5), PREPROCESSING, Origin("narrow"))
    folder = save(narrow, tmp_path / "encoder")
    assert json.loads((folder / "config.json").read_text())["model_args"] == {"channels": [32, 64, 128, 256]}
    assert check(folder) == []
    batch = torch.randn(1, 3, 96, 96)
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    readers = [load(folder), timm.create_model(f"local-dir:{folder}", pretrained=True).eval()]
    with torch.no_grad():
        wanted = narrow(batch)
        assert wanted.shape == (1, 256)
        for reader in readers:
            assert (reader(batch) - wanted).abs().max() == 0
        found = transformers.AutoModel.from_pretrained(folder).eval()(batch).pooler_output
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_network_with_the_stem_for_32_px_is_rebuilt_by_every_reader(tmp_path):
    """Its stages see 32, 16, 8 and 4 px; timm and transformers know it once `hub.cifar_stem` is imported."""
    small = Encoder(
        build_backbone("resnet18_cifar", width=0.25), Preprocessing(input_px=32, crop_pct=1.0), Origin("small")
    )
    folder = save(small, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    assert (config["pretrained_cfg"]["pool_size"], config["num_features"]) == ([4, 4], 128)
    assert "import goodviews.hub.cifar_stem" in (folder / "README.md").read_text()
    assert check(folder) == []
    batch = torch.randn(1, 3, 32, 32)
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    again, timms = load(folder), timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    maps = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True).eval()
    with torch.no_grad():
        wanted, stages = small(batch), small.feature_maps(batch)
        assert [tuple(stage.shape[1:]) for stage in stages.values()] == [
            (16, 32, 32),
            (32, 16, 16),
            (64, 8, 8),
            (128, 4, 4),
        ]
        assert (again(batch) - wanted).abs().max() == 0
        assert (timms(batch) - wanted).abs().max() == 0
        assert (transformers.AutoModel.from_pretrained(folder).eval()(batch).pooler_output - wanted).abs().max() == 0
        torch.testing.assert_close(maps(batch)[-1], stages["res5"], rtol=0, atol=0)
    assert maps.feature_info.reduction() == [1, 1, 2, 4, 8]


def test_network_that_has_one_width_only_cannot_be_widened():
    with pytest.raises(UsageError, match=r"test_nfnet has one width only"):
        build_backbone("test_nfnet", width=2)


def test_changed_weights_are_found_by_digest_and_by_fingerprint(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["conv1.weight"] = tensors["conv1.weight"].flip(1).contiguous()  # RGB read as BGR
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    problems = check(folder)
    assert len(problems) == 2
    assert "sha256" in problems[0]
    assert "fingerprint" in problems[1]


def test_changed_preprocessing_is_found_by_the_fingerprint(folder):
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.0, 0.0, 0.0]
    (folder / "config.json").write_text(json.dumps(config))
    assert len(check(folder)) == 1


def test_an_existing_folder_is_not_overwritten_unasked(encoder, folder):
    before = (folder / "config.json").read_text()
    with pytest.raises(OutputExists):
        save(encoder, folder)
    assert (folder / "config.json").read_text() == before
    save(encoder, folder, overwrite=True)


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def drop_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["layer4.1.bn2.weight"]
    save_file(tensors, folder / "model.safetensors")


def reshape_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["conv1.weight"] = tensors["conv1.weight"][:, :1].contiguous()
    save_file(tensors, folder / "model.safetensors")


def add_a_head(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "fc.weight": torch.zeros(2, 512)}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: shutil.rmtree(f), "config.json is missing"),
        (lambda f: (f / "config.json").write_text("{not json"), "is not JSON"),
        (lambda f: (f / "config.json").write_text('{"model_type": "resnet"}'), "not written by goodviews"),
        (lambda f: (f / "config.json").write_text('{"goodviews": {"format": 99}}'), "format 99"),
        (lambda f: (f / "config.json").write_text('{"goodviews": {"format": 1}}'), "lacks architecture"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (truncate, "not a complete safetensors file"),
        (drop_a_tensor, "lacks tensor layer4.1.bn2.weight"),
        (reshape_a_tensor, "another shape of tensor conv1.weight"),
        (add_a_head, "unknown tensor fc.weight"),
    ],
)
def test_damaged_and_foreign_folders_are_refused_in_one_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(ArtifactError, match=sentence) as refused:
        from_pretrained(folder)
    assert "\n" not in str(refused.value)
