"""What a run publishes of its network: the backbone as an encoder; of two branches two, each made to take RGB."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...hub.backbone import build_backbone, rebuild_backbone
from ...hub.encoder import Encoder, Origin
from ...hub.learned_stem import SUFFIX, arguments_of
from ...hub.reports.provenance import commit
from ..models.networks import LearnedTwoBranchNetwork, TrainedNetwork, TwoBranchNetwork
from ..recipe import Recipe, describe
from .run import Run


def encoders_of(run: Run) -> dict[str, Encoder]:
    """What is published, as it is now, by its folder's name; copied, so that nothing done with it reaches training."""
    knn = {} if run.monitor.knn_top1 is None else {"online_knn_top1": run.monitor.knn_top1}
    lengthened = {"lengthened_from": [*run.earlier_epochs]} if run.earlier_epochs else {}
    origin = Origin(
        name=run.recipe.name,
        recipe=describe(run.recipe) | lengthened,
        dataset=run.identity.data,
        epochs=round(run.epoch, 4),
        commit=commit(),
        parent=run.identity.parent,
        licence=run.licence,
        metrics={name: round(value, 6) for name, value in run.monitor.last.items()} | knn,
    )
    preprocessing = replace(run.preprocessing, values=run.images.train.values)
    found = backbones(run.state.network, run.recipe).items()
    return {name: Encoder(backbone, preprocessing, origin) for name, backbone in found}


def backbones(network: TrainedNetwork, recipe: Recipe) -> dict[str, nn.Module]:
    """Copies of the backbones as they are now, by the name of the folder they go to; "encoder" is always there.

    Of CMC's branches the luma one is "encoder", the chroma one "encoder_chroma": the authors use both features side by
    side. Their first convolutions take RGB, normalised as the recipe's views are, with the change of colours in them.
    """
    if not isinstance(network, TwoBranchNetwork):
        return {"encoder": copy.deepcopy(network.backbone)}
    if isinstance(network, LearnedTwoBranchNetwork):
        branches = (("encoder", network.backbone), ("encoder_chroma", network.chroma))
        return {name: _on_generator(branch, network, part) for part, (name, branch) in enumerate(branches)}
    parts = (
        ("encoder", network.backbone, network.colours[:1]),
        ("encoder_chroma", network.chroma, network.colours[1:]),
    )
    return {name: _on_rgb(branch, colours, recipe) for name, branch, colours in parts}


def _on_generator(branch: Any, network: LearnedTwoBranchNetwork, part: int) -> nn.Module:
    """The branch with the generator in its stem."""
    arguments = branch.model_args | arguments_of(network.generator.plan, part)
    arguments.pop("in_chans", None)
    with torch.random.fork_rng(devices=[]):
        backbone = rebuild_backbone(branch.pretrained_cfg["architecture"] + SUFFIX, arguments)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in branch.state_dict().items()}
    weights["conv1.conv.weight"] = weights.pop("conv1.weight")
    weights |= {f"conv1.flow.{name}": tensor.detach().cpu() for name, tensor in network.generator.state_dict().items()}
    backbone.load_state_dict(weights, strict=True)
    return backbone.to(next(branch.parameters()).device)


def _on_rgb(branch: nn.Module, colours: Tensor, recipe: Recipe) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        backbone: Any = build_backbone(recipe.architecture, width=recipe.width)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in branch.state_dict().items()}
    first = backbone.pretrained_cfg["first_conv"] + ".weight"
    weights[first] = torch.einsum("okhw,kc->ochw", weights[first], colours.cpu())
    backbone.load_state_dict(weights, strict=True)
    on_rgb: nn.Module = backbone.to(next(branch.parameters()).device)
    return on_rgb
