import subprocess
import sys
import textwrap

import pytest
import torch
import torchvision

from goodviews.hub import ArtifactError, UsageError, from_pretrained, pretrained, save

pytestmark = pytest.mark.oldest


def test_a_random_encoder_is_fixed_by_its_seed():
    first, again, other = (
        from_pretrained(f"random:resnet18{seed}").report_id().weights_sha256 for seed in ("", "@0", "@1")
    )
    assert first == again != other


def test_a_random_encoder_can_see_images_of_any_size():
    encoder = from_pretrained("random:resnet18-64px@1")
    assert encoder.preprocessing.input_px == 64
    assert encoder.report_id().weights_sha256 == from_pretrained("random:resnet18@1").report_id().weights_sha256


def test_random_encoders_may_be_of_another_width_and_stem():
    encoder = from_pretrained("random:resnet18_cifar-w0.25-32px@1")
    assert (encoder.num_features, encoder.preprocessing.input_px) == (128, 32)
    assert encoder.backbone.conv1.weight.shape == (64, 3, 3, 3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet18-w0-32px", r"has a width of 0; give one from 0\.0625 to 16"),
        ("resnet18-w9999", "has a width of 9999"),
        ("resnet18-0px", "takes photos of 0 px; give a size from 1 to 4096"),
        ("resnet18-w0.5-9999999px@1", "takes photos of 9999999 px"),
    ],
)
def test_a_random_encoder_of_no_width_or_size_is_refused(name, sentence):
    with pytest.raises(UsageError, match=f"random:{name} {sentence}"):
        from_pretrained(f"random:{name}")


def test_loading_a_random_encoder_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    from_pretrained("random:resnet18")
    assert torch.rand(1) == expected


def test_torchvision_weights_give_torchvision_features(tmp_path, monkeypatch):
    """The file stands where torchvision's own download would put it, so nothing is fetched."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18().eval()
    name = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    (tmp_path / "checkpoints").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    encoder = from_pretrained("torchvision:resnet18")
    theirs.fc = torch.nn.Identity()
    batch = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(encoder(batch), theirs(batch))
    assert (encoder.preprocessing.input_px, encoder.preprocessing.crop_pct) == (224, 0.875)
    assert encoder.origin.name == "torchvision:resnet18.IMAGENET1K_V1"


def test_damaged_torchvision_files_are_refused(tmp_path, monkeypatch):
    name = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    (tmp_path / "checkpoints").mkdir()
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ArtifactError, match="lacks tensor"):
        from_pretrained("torchvision:resnet18")


def test_timm_weights_load_from_a_hub(hub_server):
    """timm's real client against a server on loopback; HF_ENDPOINT is read when it is imported, hence the process."""
    code = """
        from goodviews.hub import from_pretrained
        encoder = from_pretrained("timm:resnet18.a1_in1k")
        print(encoder.origin.name, encoder.origin.licence, encoder.preprocessing.input_px)
        print(float(encoder.backbone.conv1.weight.sum()))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=hub_server.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    name, total = result.stdout.splitlines()[-2:]
    assert name.startswith("timm:resnet18.a1_in1k apache-2.0 224")
    assert float(total) == pytest.approx(hub_server.conv1_sum, abs=1e-4)


def test_a_checkpoint_of_another_program_is_imported_on_the_fly(tmp_path):
    theirs = from_pretrained("random:resnet18-w0.25@3").backbone.state_dict()
    torch.save({"state_dict": {f"module.encoder_q.{name}": t for name, t in theirs.items()}}, tmp_path / "moco.pth.tar")
    encoder = from_pretrained(tmp_path / "moco.pth.tar")
    assert (encoder.name, encoder.origin.imported["format"]) == ("moco", "moco")
    assert encoder.report_id().weights_sha256 == from_pretrained("random:resnet18-w0.25@3").report_id().weights_sha256


def test_names_of_the_catalogue_are_opened_unless_a_folder_has_that_name(tmp_path, monkeypatch):
    folder = save(from_pretrained("random:resnet18-w0.25@3"), tmp_path / "opened")
    monkeypatch.setattr(
        pretrained, "open_catalogue_entry", lambda name, **options: folder if name == "moco-v2-800" else None
    )
    monkeypatch.chdir(tmp_path)
    assert from_pretrained("moco-v2-800").name == "random:resnet18-w0.25@3"
    save(from_pretrained("random:resnet18-w0.25@4"), tmp_path / "moco-v2-800")
    assert from_pretrained("moco-v2-800").name == "random:resnet18-w0.25@4"


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("no/such/folder", ArtifactError, "no encoder no/such/folder"),
        ("torchvision:resnet19", UsageError, "torchvision has no weights resnet19"),
        ("torchvision:resnet18.NONE", UsageError, "torchvision has no weights"),
        ("timm:resnet18.none", UsageError, "timm has no pretrained weights"),
        ("random:", ArtifactError, "no encoder random:"),
        ("random:resnet18@x", UsageError, r"random:ARCHITECTURE\[-wWIDTH\]\[-SIZEpx\]\[@SEED\]"),
        ("random:resnetten", UsageError, "timm has no model"),
    ],
)
def test_names_without_meaning_are_refused_with_what_to_give(name, error, sentence):
    with pytest.raises(error, match=sentence):
        from_pretrained(name)
