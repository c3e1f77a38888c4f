"""Checkpoints with the true key layout of each format: the imported encoder gives the source network's features."""

import argparse
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goodviews.hub import check, load
from goodviews.hub.importers.convert import TARGETS, convert
from goodviews.hub.importers.formats import FORMATS
from goodviews.hub.importers.import_file import import_file, read_encoders
from goodviews.hub.ydbdr import MEAN, TO_YDBDR

State = dict[str, Tensor]
TRAINING = {
    "epoch": 199,
    "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.03}]},
}


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def linear(prefix: str, *sizes: tuple[int, int]) -> State:
    """Linear layers of a head: `prefix` has one {} for their place in the list, counted in twos."""
    made: State = {}
    for place, (into, out) in enumerate(sizes):
        made |= under(prefix.format(2 * place), {"weight": torch.ones(out, into), "bias": torch.ones(out)})
    return made


def norm(prefix: str, size: int = 8) -> State:
    return under(prefix, nn.BatchNorm1d(size).state_dict())


def other(state: State) -> State:
    """The EMA copy: other numbers, so that taking it by mistake shows."""
    return {name: tensor * 1.5 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def infomin(state: State) -> Any:
    model = under("encoder.", state) | linear("head.{}.", (256, 256), (256, 16))
    model |= linear("head_jig.fc1.{}.", (256, 256), (256, 16)) | linear("head_jig.fc2.", (144, 16))
    ema = under("encoder.", other(state)) | linear("head.{}.", (256, 256), (256, 16))
    return {"model": under("module.", model), "model_ema": ema, "contrast": {"memory": torch.ones(64, 16)}} | TRAINING


def pirl(state: State) -> Any:
    model = under("encoder.", state) | linear("head.0.", (256, 16)) | linear("head_jig.fc1.", (256, 16))
    return {"model": under("module.", model | linear("jigsaw.fc2.", (144, 16)))} | TRAINING


def moco_v1(state: State) -> Any:
    model = under("encoder_q.", state) | linear("encoder_q.fc.", (256, 128)) | under("encoder_k.", other(state))
    model |= linear("encoder_k.fc.", (256, 128))
    model |= {"queue": torch.ones(128, 64), "queue_ptr": torch.zeros(1)}
    return {"arch": "resnet50", "state_dict": under("module.", model)} | TRAINING


def moco_v2(state: State) -> Any:
    model = under("encoder_q.", state) | linear("encoder_q.fc.{}.", (256, 256), (256, 128))
    model |= under("encoder_k.", other(state)) | linear("encoder_k.fc.{}.", (256, 256), (256, 128))
    model |= {"queue": torch.ones(128, 64), "queue_ptr": torch.zeros(1)}
    return {"arch": "resnet50", "best_acc": 0.0, "state_dict": under("module.", model)} | TRAINING


def moco_v3(state: State) -> Any:
    model = under("base_encoder.", state) | norm("base_encoder.fc.1.") | under("momentum_encoder.", other(state))
    model |= norm("momentum_encoder.fc.1.") | norm("predictor.1.")
    return {"arch": "resnet50", "scaler": {}, "state_dict": under("module.", model)} | TRAINING


def swav(state: State) -> Any:
    head = linear("projection_head.{}.", (256, 256)) | norm("projection_head.1.")
    return under("module.", state | head | {"prototypes.weight": torch.ones(30, 16)})


def swav_training(state: State) -> Any:
    return {"state_dict": swav(state), "amp": {}} | TRAINING


def simclr(state: State) -> Any:
    """The converter's blocks name their shortcut first."""
    ordered = sorted(state, key=lambda name: (_block(name), "downsample" not in name))
    return {"state_dict": {name: state[name] for name in ordered} | linear("fc.", (256, 1000))}


def _block(name: str) -> tuple[int, int]:
    found = re.match(r"layer(\d)\.(\d+)\.", name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def simclr_v2(state: State) -> Any:
    names = {"conv1.": "net.0.0.", "bn1.": "net.0.1.0."}
    inside = {
        "conv1": "net.0",
        "bn1": "net.1.0",
        "conv2": "net.2",
        "bn2": "net.3.0",
        "conv3": "net.4",
        "bn3": "net.5.0",
    }
    inside |= {"downsample.0": "projection.shortcut", "downsample.1": "projection.bn.0"}
    made: State = {}
    for name, tensor in state.items():
        found = re.match(r"layer(\d)\.(\d+)\.(downsample\.\d|\w+)\.(\w+)", name)
        if found:
            made[f"net.{found[1]}.blocks.{found[2]}.{inside[found[3]]}.{found[4]}"] = tensor
        else:
            made[re.sub(r"^\w+\.", lambda first: names[first[0]], name)] = tensor
    return {"resnet": made | linear("fc.", (256, 1000)), "head": linear("layers.{}.", (256, 256))}


def barlow_twins(state: State) -> Any:
    model = under("backbone.", state) | linear("projector.{}.", (256, 64)) | norm("projector.1.") | norm("bn.")
    return {"model": under("module.", model)} | TRAINING


def vicreg(state: State) -> Any:
    model = under("backbone.", state) | linear("projector.{}.", (256, 64)) | norm("projector.1.")
    return {"model": under("module.", model)} | TRAINING


def dino(state: State) -> Any:
    head = linear("head.mlp.{}.", (256, 64)) | {"head.last_layer.weight_g": torch.ones(9, 1)}
    student = under("module.", under("backbone.", other(state)) | head)
    arguments = argparse.Namespace(arch="resnet50", lr=np.float64(0.3), seed=np.int64(0))
    return {"student": student, "teacher": under("backbone.", state) | head, "args": arguments} | TRAINING


def vissl(state: State) -> Any:
    model = {"trunk": under("_feature_blocks.", state), "heads": linear("0.clf.", (256, 128))}
    return {"classy_state_dict": {"base_model": {"model": model, "meta": {}}}, "phase_idx": 199}


def vissl_converted(state: State) -> Any:
    return {"model_state_dict": under("_feature_blocks.", state)}


def solo_learn(state: State) -> Any:
    model = under("backbone.", state) | under("momentum_backbone.", other(state)) | linear("classifier.", (256, 100))
    model |= linear("projector.{}.", (256, 64)) | linear("momentum_projector.{}.", (256, 64))
    model |= linear("momentum_classifier.", (256, 100)) | linear("predictor.{}.", (64, 64))
    return {"state_dict": model | {"queue": torch.ones(2, 16, 64), "queue_ptr": torch.zeros(1)}, "epoch": 1}


def lightly(state: State) -> Any:
    model = under("backbone.", state) | under("key_backbone.", other(state)) | norm("projection_head.layers.1.")
    model |= norm("key_projection_head.layers.1.") | linear("online_classifier.linear.", (256, 1000))
    return {"state_dict": model, "hyper_parameters": {"num_classes": 1000}, "callbacks": {}}


def lightly_counted(state: State) -> Any:
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    counted = {re.sub(r"^\w+", lambda first: places[first[0]], name): tensor for name, tensor in state.items()}
    model = under("backbone.", counted) | under("backbone_momentum.", other(counted))
    return {"state_dict": model | norm("projection_head.layers.1.") | norm("projection_head_momentum.layers.1.")}


def openmmlab(state: State) -> Any:
    model = under("backbone.", state) | under("encoder_k.module.0.", other(state)) | linear("neck.mlp.0.", (256, 64))
    return {"state_dict": model | {"queue": torch.ones(16, 64), "queue_ptr": torch.zeros(1)}, "meta": {"seed": 0}}


def torchvision(state: State) -> Any:
    return state | linear("fc.", (256, 1000))


def imagenet_example(state: State) -> Any:
    model = under("module.", state | linear("fc.", (256, 1000)))
    return {"arch": "resnet50", "state_dict": model, "best_acc1": torch.tensor(76.1)} | TRAINING


def detectron2(state: State) -> Any:
    from goodviews.hub.importers.detectron2_names import detectron2_name

    return {"model": {detectron2_name(name): tensor for name, tensor in state.items()}, "matching_heuristics": True}


LAYOUTS: dict[str, tuple[Callable[[State], Any], str, set[str]]] = {  # -> how to write, format, reasons
    "InfoMin": (infomin, "pycontrast", {"projection head", "projection head of the jigsaw branch"}),
    "PIRL": (
        pirl,
        "pycontrast",
        {
            "projection head",
            "projection head of the jigsaw branch",
            "projection head of the jigsaw branch, by an older name",
        },
    ),
    "MoCo v1": (
        moco_v1,
        "moco",
        {"projection head, no classifier", "EMA copy that makes the keys", "queue of keys"},
    ),
    "MoCo v2, CLSA, PCL": (
        moco_v2,
        "moco",
        {"projection head, no classifier", "EMA copy that makes the keys", "queue of keys"},
    ),
    "MoCo v3": (moco_v3, "moco-v3", {"projection head, no classifier", "EMA copy that makes the keys", "predictor"}),
    "SwAV": (swav, "swav", {"projection head", "prototypes"}),
    "SwAV in training": (swav_training, "swav", {"projection head", "prototypes"}),
    "SimCLR v1": (simclr, "simclr", {"classifier; the converter leaves its bias random"}),
    "SimCLR v2": (simclr_v2, "simclr-v2", {"classifier"}),
    "Barlow Twins": (barlow_twins, "barlow-twins", {"projection head", "normalisation of the projections"}),
    "VICReg": (vicreg, "vicreg", {"projection head"}),
    "DINO": (dino, "dino", {"projection head"}),
    "VISSL": (vissl, "vissl", set()),
    "VISSL, converted": (vissl_converted, "vissl", set()),
    "solo-learn": (
        solo_learn,
        "solo-learn",
        {"EMA copy", "projection head", "classifier on the side", "predictor", "queue of keys"},
    ),
    "lightly": (lightly, "lightly", {"EMA copy", "projection head", "classifier on the side"}),
    "lightly, counted": (lightly_counted, "lightly", {"EMA copy", "projection head"}),
    "mmselfsup": (openmmlab, "openmmlab", {"EMA copy", "head", "queue of keys"}),
    "torchvision": (torchvision, "torchvision", {"classifier or projection head"}),
    "pytorch/examples": (imagenet_example, "torchvision", {"classifier or projection head"}),
    "detectron2": (detectron2, "detectron2", set()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised_and_gives_the_features_of_its_network(layout, network, save_checkpoint, features):
    write, format, reasons = LAYOUTS[layout]
    report = read_encoders(save_checkpoint(write(network.state_dict())))
    assert report.format == format
    assert set(report.dropped.values()) == reasons
    (found,) = report.encoders
    assert len(found.came_from) == 318
    assert torch.equal(features(found.encoder), features(network))
    assert found.encoder.preprocessing == FORMATS[format].preprocessing


def wrap(content: dict, prefix: str) -> dict:
    """With the prefix before the tensors of every network in a checkpoint."""
    if any(isinstance(value, torch.Tensor) and "." in name for name, value in content.items()):
        return under(prefix, content)
    is_network = {
        key: isinstance(value, dict) and key not in ("optimizer", "contrast") for key, value in content.items()
    }
    return {key: wrap(value, prefix) if is_network[key] else value for key, value in content.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_prefixes_of_data_parallel_training_and_of_the_compiler_are_cut_off(layout, network, save_checkpoint, features):
    write, format, _ = LAYOUTS[layout]
    report = read_encoders(save_checkpoint(wrap(write(network.state_dict()), "module._orig_mod.")))
    assert report.format == format
    assert torch.equal(features(report.encoders[0].encoder), features(network))


@pytest.mark.parametrize("layout", ["InfoMin", "SimCLR v2", "VISSL"])
def test_what_was_imported_converts_back_to_the_same_features(layout, network, save_checkpoint, features, tmp_path):
    write, _, _ = LAYOUTS[layout]
    import_file(save_checkpoint(write(network.state_dict())), tmp_path / "encoder")
    for to in ("moco", "detectron2"):
        file = convert(tmp_path / "encoder", to, tmp_path / f"back{TARGETS[to].suffixes[0]}")
        assert torch.equal(features(read_encoders(file).encoders[0].encoder), features(network))


@pytest.mark.parametrize("format", ["dino", "byol", "barlow-twins", "vicreg", "simclr", "timm"])
def test_plain_backbones_are_read_as_the_format_that_is_named(format, network, save_checkpoint, features):
    report = read_encoders(save_checkpoint(network.state_dict()), format=format)
    assert torch.equal(features(report.encoders[0].encoder), features(network))
    assert report.encoders[0].encoder.preprocessing == FORMATS[format].preprocessing


def test_simclr_sees_photos_that_are_not_normalised_and_swav_its_own_deviation():
    assert FORMATS["simclr"].preprocessing.mean == FORMATS["simclr-v2"].preprocessing.mean == (0, 0, 0)
    assert FORMATS["simclr"].preprocessing.std == (1, 1, 1)
    assert FORMATS["swav"].preprocessing.std == (0.228, 0.224, 0.225)


def test_cmc_becomes_two_encoders_of_rgb(make_network, save_checkpoint, tmp_path, features):
    luma, chroma = make_network(in_chans=1), make_network(in_chans=2, seed=1)
    model = under("encoder1.", luma.state_dict()) | under("encoder2.", chroma.state_dict())
    model |= linear("head1.0.", (256, 16)) | linear("head2.0.", (256, 16)) | linear("head1_jig.fc2.", (144, 16))
    file = save_checkpoint({"model": under("module.", model), "contrast": {"memory_1": torch.ones(9, 16)}})
    report = import_file(file, tmp_path / "cmc")
    assert [one.folder for one in report.encoders] == ["", "_chroma"]
    photo = torch.linspace(0, 1, 3 * 64 * 64).sin().abs().reshape(1, 3, 64, 64)
    colours = torch.einsum("kc,nchw->nkhw", torch.tensor(TO_YDBDR), photo - torch.tensor(MEAN)[:, None, None])
    for name, branch, channels in (("cmc", luma, colours[:, :1]), ("cmc_chroma", chroma, colours[:, 1:])):
        encoder = load(tmp_path / name)
        assert check(tmp_path / name) == []
        assert encoder.preprocessing.mean == MEAN
        with torch.no_grad():
            ours = encoder(photo - torch.tensor(MEAN)[:, None, None])
            torch.testing.assert_close(ours, branch(channels), rtol=1e-4, atol=1e-4)


def test_extracted_small_stem_of_solo_learn_pads_by_two(make_network, save_checkpoint, features):
    source = make_network("resnet18_cifar", width=0.25)
    source.conv1.padding = (2, 2)
    file = save_checkpoint({"state_dict": under("backbone.", source.state_dict()) | linear("classifier.", (128, 10))})
    encoder = read_encoders(file).encoders[0].encoder
    assert (encoder.architecture, encoder.model_args["stem_padding"]) == ("resnet18_cifar", 2)
    assert torch.equal(features(encoder), features(source))


def test_half_precision_and_missing_counters_are_remarked(network, save_checkpoint):
    state = {name: t.half() for name, t in network.state_dict().items() if "num_batches" not in name}
    report = read_encoders(save_checkpoint(state))
    assert any("float16" in remark for remark in report.remarks)
    assert any("53 counters" in remark for remark in report.remarks)
    assert report.encoders[0].encoder.backbone.conv1.weight.dtype == torch.float32
