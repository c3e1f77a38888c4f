"""How a detector of detectron2 starts: with the encoder's weights in it, and proof that it computes what the encoder
does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...hub.encoder import Encoder
from ...hub.errors import UsageError
from .tensor_names import Trunk, places

SAME = 1e-2  # of the largest value: on a GPU two routes round convolutions differently; a wrong network is off by 1


def fill(network: nn.Module, encoder: Encoder, trunk: Trunk) -> None:
    """Copies the encoder's weights into `network`, whose other layers stay as they are.

    Raises:
        UsageError: a tensor has no place, or the same weights compute something else there.
    """
    given, own = encoder.backbone.state_dict(), network.state_dict()
    found = places(shapes(given), shapes(own), encoder.architecture, trunk)
    network.load_state_dict({**own, **{place: given[name] for name, place in found.items()}}, strict=True)
    loaded = network.state_dict()
    lost = [name for name, place in found.items() if not torch.equal(loaded[place].cpu(), given[name].cpu())]
    assert not lost, f"{lost[0]} and {len(lost) - 1} more tensors of the encoder did not arrive in the detector"
    _check_features(network, encoder)


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Their shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@torch.no_grad()
def stage_features(network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """The stages of the detector's ResNet in evaluation: "res4" with a C4 trunk, "res2" to "res5" with FPN.

    Args:
        network: from `detectron2_engine.build_network`; is left in evaluation.
        batch: (N, 3, H, W) normalised.
    """
    backbone = network.eval().get_submodule("backbone")
    return getattr(backbone, "bottom_up", backbone)(batch)


def _check_features(network: nn.Module, encoder: Encoder) -> None:
    """Networks may have the same tensors and compute something else, by another activation or place of the stride."""
    batch = torch.linspace(-40, 40, 3 * 64 * 64).sin().reshape(1, 3, 64, 64)
    was_training = encoder.training
    with torch.no_grad():
        expected = encoder.eval().feature_maps(batch.to(encoder.device))
    encoder.train(was_training)
    for name, found in stage_features(network, batch.to(next(network.parameters()).device)).items():
        wanted = expected[name].to(found.device)
        difference = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-9))
        if not difference <= SAME:
            raise UsageError(
                f"The detectron2 engine takes plain ResNets and ResNeXts, and {encoder.architecture} is none: with its "
                f"weights {name} differs by {difference:.2g} of the largest value; --engine torchvision takes more."
            )
