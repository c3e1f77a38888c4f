"""Small networks that look trained, and the folder and file they go to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from goodviews.hub.backbone import build_backbone


@pytest.fixture(scope="session")
def make_network() -> Callable[..., nn.Module]:
    """A ResNet without classifier in evaluation mode, with made-up batch-norm statistics."""

    def make(architecture: str = "resnet50", *, width: float = 0.125, seed: int = 0, **arguments: Any) -> nn.Module:
        torch.manual_seed(seed)
        network = build_backbone(architecture, width=width, **arguments)
        return _look_trained(network).eval()

    return make


@pytest.fixture(scope="session")
def look_trained() -> Callable[[nn.Module], nn.Module]:
    return _look_trained


@pytest.fixture(scope="session")
def network(make_network) -> nn.Module:
    """The source of most checkpoints: a ResNet-50 of an eighth of the width."""
    return make_network()


@pytest.fixture
def save_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    def write(content: Any, name: str = "checkpoint.pth", **options: Any) -> Path:
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return write


@torch.no_grad()
def features(network: nn.Module, in_chans: int = 3) -> Tensor:
    """Of two fixed images."""
    images = torch.linspace(-3, 3, 2 * in_chans * 64 * 64).sin().reshape(2, in_chans, 64, 64)
    return network(images)


@pytest.fixture(scope="session", name="features")
def features_fixture() -> Callable[..., Tensor]:
    return features


def _look_trained(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.num_batches_tracked.fill_(500)
    return network
