"""The float64 path: every loss against the slope of its values, and a whole network's gradients in fp32 against it."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from goodviews.pretrain.models.full_precision import widen
from goodviews.pretrain.models.losses import (
    bank_logits,
    distributional_match,
    in_batch_similarities,
    info_nce,
    pair_contrast,
    proto_nce,
    shared_similarities,
    squared_distance,
)
from goodviews.pretrain.models.networks import ContrastiveNetwork, build_network

PLACES = torch.tensor([[0, 3, 4], [1, 5, 5], [2, 0, 1]])
TEMPERATURES, COUNTS = torch.full((6,), 0.3, dtype=torch.float64), torch.tensor([True] * 5 + [False])


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(rows, dim=1)


KEYS, NEGATIVES = unit(3, 5, seed=1), unit(6, 5, seed=2)
LOSSES = {
    "info_nce": lambda rows: info_nce(rows, KEYS, NEGATIVES, temperature=0.2),
    "match": lambda rows: distributional_match(
        shared_similarities(rows, KEYS, NEGATIVES) / 0.2, shared_similarities(KEYS, KEYS, NEGATIVES).softmax(dim=1)
    ),
    "in_batch": lambda rows: in_batch_similarities(rows, KEYS, NEGATIVES[:3], first=0).logsumexp(dim=1),
    "pairs": lambda rows: pair_contrast(rows, KEYS, temperature=0.2),
    "distance": lambda rows: squared_distance(rows, KEYS),
    "bank": lambda rows: bank_logits(rows, NEGATIVES, PLACES, temperature=0.1),
    "prototypes": lambda rows: proto_nce(rows, NEGATIVES, TEMPERATURES, COUNTS, first=0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_a_loss_is_the_slope_of_its_values(name: str):
    assert torch.autograd.gradcheck(LOSSES[name], unit(3, 5).requires_grad_())


def test_half_precision_is_widened_and_nothing_is_narrowed():
    for given, wanted in (("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64",) * 2):
        assert widen(torch.ones(1, dtype=getattr(torch, given))).dtype == getattr(torch, wanted)


@pytest.fixture(scope="module")
def network() -> ContrastiveNetwork:
    return build_network("test_resnet", head="mlp", dim=16, patches=9, seed=0).train()


def infomin_gradients(network: ContrastiveNetwork, dtype: torch.dtype, layout: torch.memory_format) -> torch.Tensor:
    """Of all weights in a row, from crops and patches whose last maps are 2 x 2 pixels."""
    network = copy.deepcopy(network).to(dtype).to(memory_format=layout)
    network._features = lambda images: network.backbone(images.contiguous(memory_format=layout))  # type: ignore
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    crops, patches = draw(3, 3, 48, 48).to(dtype), draw(3, 9, 3, 36, 36).to(dtype)
    (query,), jigsaw = network([crops], patches, torch.arange(9).flip(0).expand(3, 9))
    assert jigsaw is not None
    key, negatives = (unit(count, 16, seed=count).to(dtype) for count in (3, 64))
    sum(0.5 * info_nce(rows, key, negatives, temperature=0.15) for rows in (query, jigsaw)).backward()
    return torch.cat([weight.grad.double().flatten() for weight in network.parameters()])


def error(network: ContrastiveNetwork, layout: torch.memory_format) -> float:
    exact = infomin_gradients(network, torch.float64, layout)
    return float((infomin_gradients(network, torch.float32, layout) - exact).norm() / exact.norm())


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_infomin_gradient_in_fp32_is_exact_but_for_roundings_where_no_activation_has_a_kink(network, layout):
    """With ReLU it is 1e-4 to 1e-2 away, in either layout: a rounding may carry an activation over the kink."""
    smooth = copy.deepcopy(network)
    for module in smooth.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    assert error(smooth, layout) < 2e-5
