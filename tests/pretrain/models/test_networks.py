"""The trained networks: their size, their first weights."""

import pytest
import torch

from goodviews.pretrain.models.networks import build_network


@pytest.mark.parametrize(("patches", "parameters"), [(0, 23_508_032 + 4_458_624), (9, 32_572_864)])
def test_resnet50_networks_have_the_published_number_of_parameters(patches, parameters):
    with torch.device("meta"):
        network = build_network("resnet50", head="mlp", dim=128, patches=patches, seed=0)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_equal_seeds_give_equal_networks_and_leave_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = build_network("resnet18", head="mlp", dim=16, patches=9, seed=2)
    assert torch.equal(torch.rand(1), expected)
    second = build_network("resnet18", head="mlp", dim=16, patches=9, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))


def test_residual_branches_can_be_zero_initialised():
    plain = build_network("resnet18", head="mlp", dim=16, patches=0, seed=2)
    still = build_network("resnet18", head="mlp", dim=16, patches=0, seed=2, zero_init_last=True)
    assert plain.backbone.layer2[0].bn2.weight.eq(1).all()
    assert still.backbone.layer2[0].bn2.weight.eq(0).all()
    assert still.backbone.layer2[0].conv2.weight.equal(plain.backbone.layer2[0].conv2.weight)
