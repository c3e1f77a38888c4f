"""A detector of detectron2 with an encoder in it. Needs nothing of detectron2 that needs its `model_zoo`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...hub.errors import UsageError
from ..detection.settings import DetectionSettings
from .configuration import C4_HEADS, Configuration, configuration
from .load_encoder import load_encoder, shapes_of
from .tensor_names import shape_of

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # detectron2 is older than torch
        import detectron2.engine  # with it all of detectron2 that the engine needs
        import fvcore.nn.precise_bn  # noqa: F401
        from detectron2.config import CfgNode, get_cfg
        from detectron2.layers import get_norm
        from detectron2.modeling import ROI_HEADS_REGISTRY, build_model
        from detectron2.modeling.roi_heads import Res5ROIHeads
    VERSION: str = detectron2.__version__
    warnings.filterwarnings("ignore", "torch.meshgrid: in an upcoming release", UserWarning)  # as above
except ImportError as error:
    raise UsageError(
        f"detectron2 cannot be imported ({error}). It must be built for the torch that is installed, as `goodviews "
        "doctor` says; if pkg_resources is what it lacks: pip install 'setuptools<81'. With --engine "
        "torchvision the same task runs without it."
    ) from None

if TYPE_CHECKING:
    from ...hub.encoder import Encoder


@ROI_HEADS_REGISTRY.register()
class Res5ROIHeadsExtraNorm(Res5ROIHeads):
    """detectron2's C4 head with a norm layer after res5, by which one learning rate serves every encoder."""

    def __init__(self, cfg: CfgNode, input_shape: Any):
        super().__init__(cfg, input_shape)
        self.res5.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, self.res5[-1].out_channels))


assert Res5ROIHeadsExtraNorm.__name__ == C4_HEADS


def build_detector(
    encoder: Encoder,
    classes: int,
    settings: DetectionSettings,
    *,
    seed: int,
    processes: int = 1,
    has_bitmasks: bool = False,
) -> tuple[nn.Module, Configuration]:
    """A detector with a copy of the encoder's weights, on the encoder's device, and its configuration.

    Args:
        encoder: Stays as it is.
        classes: How many there are.
        settings: What the protocol fixes.
        seed: Of the new layers.
        processes: How many will train it together.
        has_bitmasks: Whether some mask comes as run lengths and not as polygons.

    Raises:
        UsageError: the encoder is no plain ResNet, or the settings contradict each other.
    """
    config = configuration(
        settings,
        encoder.preprocessing,
        shape_of(shapes_of(encoder.backbone.state_dict()), encoder.architecture, settings.trunk),
        classes=classes,
        device=str(encoder.device) if processes == 1 else encoder.device.type,
        processes=processes,
        has_bitmasks=has_bitmasks,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = build_network(config)
    load_encoder(network, encoder, settings.trunk)
    return network, config


def build_network(config: Configuration) -> nn.Module:
    """detectron2's detector for this configuration; torch's global generator initialises its weights."""
    return build_model(full_configuration(config))


def full_configuration(config: Configuration) -> CfgNode:
    """detectron2's defaults, and ours over them."""
    cfg = get_cfg()
    cfg.merge_from_list([part for key, value in config.items() for part in (key, value)])
    cfg.freeze()
    return cfg
