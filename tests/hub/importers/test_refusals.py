"""What is not one encoder, whole and sane, is refused in one sentence that names the tensor."""

import pytest
import torch

from goodviews.hub import ArtifactError, UsageError
from goodviews.hub.importers.import_file import import_file, read_encoder, read_encoders


def moco(state, **beside):
    return {"state_dict": {f"module.encoder_q.{name}": tensor for name, tensor in state.items()} | beside}


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def with_one(name, tensor):
    return lambda state: state | {name: tensor}


def changed(name, function):
    return lambda state: state | {name: function(state[name])}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("layer3.2.conv2.weight"), r"lacks tensor layer3\.2\.conv2\.weight"),
        (without("layer4.2.bn3.running_mean"), r"lacks tensor layer4\.2\.bn3\.running_mean"),
        (without("conv1.weight"), r"no format that goodviews recognises"),
        (with_one("layer1.0.se.fc1.weight", torch.ones(2)), r"unknown tensor layer1\.0\.se\.fc1\.weight"),
        (with_one("layer2.0.conv1.weight", torch.ones(3, 4, 1, 1)), r"another shape of tensor layer2\.0\.conv1"),
        (with_one("layer5.0.conv1.weight", torch.ones(3, 4, 1, 1)), r"unknown tensor layer5"),
        (with_one("layer3.6.conv1.weight", torch.ones(3, 4, 1, 1)), r"its stages have 3, 4, 7, 3 blocks"),
        (with_one("conv1.weight", torch.ones(64, 3, 5, 5)), r"conv1\.weight has the shape"),
        (with_one("bn1.running_var", torch.full((64,), -1.0)), r"negative variance in bn1\.running_var"),
        (with_one("bn1.running_var", torch.zeros(64)), r"nothing but zeros in bn1\.running_var"),
        (with_one("bn1.running_mean", torch.full((64,), float("inf"))), r"values in bn1\.running_mean that are not"),
        (with_one("layer1.0.conv1.weight", torch.full((8, 64, 1, 1), float("nan"))), r"layer1\.0\.conv1\.weight that"),
        (changed("bn1.weight", lambda old: old.to("meta")), r"bn1\.weight as a shape without values; save it with"),
        (changed("conv1.weight", lambda old: old.to_sparse()), r"conv1\.weight as a sparse tensor"),
        (changed("conv1.weight", lambda old: old.to(torch.complex64)), r"conv1\.weight as complex numbers"),
        (changed("conv1.weight", lambda old: old.long()), r"conv1\.weight in whole numbers \(int64\)"),
        (with_one(5, torch.ones(3)), r"unknown tensor 5"),
    ],
)
def test_an_encoder_that_is_not_whole_or_not_sane_is_refused(change, sentence, network, save_checkpoint, tmp_path):
    file = save_checkpoint(moco(change(network.state_dict())))
    with pytest.raises(ArtifactError, match=sentence):
        import_file(file, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()


def test_tensor_that_the_format_does_not_have_is_refused_by_name(network, save_checkpoint):
    file = save_checkpoint(moco(network.state_dict(), **{"module.stranger.weight": torch.ones(2)}))
    with pytest.raises(ArtifactError, match=r"module\.stranger\.weight, which files of MoCo"):
        read_encoders(file)


def test_dead_channels_and_an_untrained_network_are_remarked(network, save_checkpoint):
    state = network.state_dict()
    state["bn1.running_var"] = state["bn1.running_var"].clone()
    state["bn1.running_var"][:2] = 0
    assert any(remark.startswith("2 channels") for remark in read_encoders(save_checkpoint(moco(state))).remarks)
    fresh = {name: torch.ones_like(t) if name.endswith("running_var") else t for name, t in state.items()}
    assert any("untrained" in remark for remark in read_encoders(save_checkpoint(moco(fresh))).remarks)


def test_cmc_is_no_single_encoder_and_its_own_programs_lab_is_refused(make_network, save_checkpoint):
    luma, chroma = make_network(in_chans=1).state_dict(), make_network(in_chans=2).state_dict()
    both = {f"module.encoder1.{name}": t for name, t in luma.items()}
    both |= {f"module.encoder2.{name}": t for name, t in chroma.items()}
    with pytest.raises(ArtifactError, match=r"holds 2 encoders .* goodviews hub import"):
        read_encoder(save_checkpoint({"model": both}))
    original = {f"encoder.module.l_to_ab.{name}": t for name, t in luma.items()}
    original |= {f"encoder.module.ab_to_l.{name}": t for name, t in chroma.items()}
    with pytest.raises(ArtifactError, match="L and ab channels of Lab"):
        read_encoders(save_checkpoint({"model": original}))


def test_networks_that_compute_something_else_are_refused_with_the_reason(network, save_checkpoint):
    selective = {"net.0.0.weight": torch.ones(3), "net.1.blocks.0.net.2.main_conv.0.weight": torch.ones(3)}
    with pytest.raises(ArtifactError, match="selective kernels"):
        read_encoders(save_checkpoint({"resnet": selective}))
    counted = {f"backbone.{n}": torch.ones(3) for n in ("0.weight", "2.0.conv1.weight", "5.0.conv1.weight")}
    with pytest.raises(ArtifactError, match="no ReLU after its first batch norm"):
        read_encoders(save_checkpoint({"state_dict": counted}))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"state_dict": {"blocks.0.attn.qkv.weight": torch.ones(2)}}, r"called blocks\.0\.attn\.qkv\.weight"),
        ({"epoch": 3}, "no dictionary of tensors"),
        ([torch.ones(3)], "no dictionary of tensors"),
    ],
)
def test_files_without_a_known_layout_are_refused_with_what_they_hold(content, sentence, save_checkpoint):
    with pytest.raises(ArtifactError, match=sentence):
        read_encoders(save_checkpoint(content))


def test_format_that_does_not_fit_or_does_not_exist_is_refused(network, save_checkpoint):
    file = save_checkpoint(moco(network.state_dict()))
    with pytest.raises(ArtifactError, match=r"no file of PyContrast.* begin with encoder\."):
        read_encoders(file, format="pycontrast")
    with pytest.raises(UsageError, match=r"no format mocha; give auto or one of pycontrast"):
        read_encoders(file, format="mocha")
    with pytest.raises(UsageError, match="timm has no model called resnetten"):
        read_encoders(file, architecture="resnetten")
    with pytest.raises(ArtifactError, match=r"unknown tensor layer1\.0\.conv3\.weight"):
        read_encoders(file, architecture="resnet18")
