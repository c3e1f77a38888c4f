"""A detector of detectron2 with an encoder in it. Needs nothing of detectron2 that needs its `model_zoo`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...hub.errors import UsageError
from ..detection.settings import DetectionSettings
from .load_encoder import fill, shapes
from .settings import C4_HEADS, Configuration, configuration
from .tensor_names import shape_of

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it is older than torch
        import detectron2.engine  # noqa: F401  # with it all of detectron2 that the engine needs
        import fvcore.nn.precise_bn  # noqa: F401
        from detectron2.config import CfgNode, get_cfg
        from detectron2.layers import get_norm
        from detectron2.modeling import ROI_HEADS_REGISTRY, build_model
        from detectron2.modeling.roi_heads import Res5ROIHeads
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
    are_masks_drawn: bool = False,
) -> tuple[nn.Module, Configuration]:
    """A detector with a copy of the encoder's weights, where the encoder is, and what it was built by.

    Args:
        encoder: is left as it is.
        classes: how many there are.
        settings: what the protocol fixes.
        seed: of the new layers.
        processes: that will train it together.
        are_masks_drawn: whether some mask comes as run lengths and not as polygons.

    Raises:
        UsageError: the encoder is no plain ResNet, or the settings contradict each other.
    """
    config = configuration(
        settings,
        encoder.preprocessing,
        shape_of(shapes(encoder.backbone.state_dict()), encoder.architecture, settings.trunk),
        classes=classes,
        device=str(encoder.device) if processes == 1 else encoder.device.type,
        processes=processes,
        are_masks_drawn=are_masks_drawn,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = build_network(config)
    fill(network, encoder, settings.trunk)
    return network, config


def build_network(config: Configuration) -> nn.Module:
    """detectron2's detector for this configuration; its weights are drawn from torch's global generator."""
    return build_model(resolved(config))


def resolved(config: Configuration) -> CfgNode:
    """The whole configuration: detectron2's defaults and ours over them."""
    cfg = get_cfg()
    cfg.merge_from_list([part for key, value in config.items() for part in (key, value)])
    cfg.freeze()
    return cfg
