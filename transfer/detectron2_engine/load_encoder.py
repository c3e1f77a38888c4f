"""The encoder's weights go into a detector of detectron2, with proof that it then computes what the encoder does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...hub.encoder import Encoder
from ...hub.errors import UsageError
from .tensor_names import Trunk, find_places

TOLERANCE = 1e-2  # of the largest value: GPUs round convolutions in several ways; a wrong network is off by about 1


def load_encoder(network: nn.Module, encoder: Encoder, trunk: Trunk) -> None:
    """Copies the encoder's weights into `network`, whose other layers stay as they are.

    Raises:
        UsageError: a tensor has no place, or the same weights compute something else there.
    """
    weights, own = encoder.backbone.state_dict(), network.state_dict()
    places = find_places(shapes_of(weights), shapes_of(own), encoder.architecture, trunk)
    network.load_state_dict({**own, **{place: weights[name] for name, place in places.items()}}, strict=True)
    after = network.state_dict()
    lost = [name for name, place in places.items() if not torch.equal(after[place].cpu(), weights[name].cpu())]
    assert not lost, f"{lost[0]} and {len(lost) - 1} more tensors of the encoder did not arrive in the detector"
    _check_features(network, encoder)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Their shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@torch.no_grad()
def stage_features(network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """The stages of the detector's ResNet in evaluation: "res4" with a C4 trunk, "res2" to "res5" with FPN.

    Args:
        network: From `network.build_network`; stays in evaluation mode.
        batch: (N, 3, H, W) normalised.
    """
    backbone = network.eval().get_submodule("backbone")
    return getattr(backbone, "bottom_up", backbone)(batch)


def _check_features(network: nn.Module, encoder: Encoder) -> None:
    """Networks with the same tensors may compute something else: by another activation, or the stride elsewhere."""
    batch = torch.linspace(-40, 40, 3 * 64 * 64).sin().reshape(1, 3, 64, 64)
    was_training = encoder.training
    with torch.no_grad():
        by_encoder = encoder.eval().feature_maps(batch.to(encoder.device))
    encoder.train(was_training)
    for name, features in stage_features(network, batch.to(next(network.parameters()).device)).items():
        expected = by_encoder[name].to(features.device)
        difference = float((features - expected).abs().max() / expected.abs().max().clamp(min=1e-9))
        if not difference <= TOLERANCE:
            raise UsageError(
                f"The detectron2 engine takes plain ResNets and ResNeXts, and {encoder.architecture} is none: with its "
                f"weights {name} differs by {difference:.2g} of the largest value; --engine torchvision takes more."
            )
