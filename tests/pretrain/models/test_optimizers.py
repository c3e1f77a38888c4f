"""Optimisers by hand: what LARS leaves alone, how far it moves the rest, and what momentum remembers."""

import pytest
import torch
from torch import nn

from goodviews.pretrain.models.optimizers import AdamW, Larc, Lars, Sgd

from ..pretended_gpu import PretendedGpu


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[3.0, 4.0]]))
        self.bias = nn.Parameter(torch.tensor([2.0]))


def moved(settings, gradients=((0.6, 0.8), (0.5,)), rates=(1.0,)):
    """The two weights after a step at each rate, always with the same gradients."""
    network = Two()
    optimizer = settings.build(network)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        network.matrix.grad, network.bias.grad = torch.tensor([gradients[0]]), torch.tensor(gradients[1])
        optimizer.step()
    return network.matrix.detach()[0], network.bias.detach()[0]


def test_lars_moves_a_matrix_by_the_trusted_share_of_its_length_and_a_bias_plainly():
    matrix, bias = moved(Lars(1.0, weight_decay=0.0, trust=0.01))
    torch.testing.assert_close(matrix, torch.tensor([3.0, 4.0]) - 0.01 * 5 * torch.tensor([0.6, 0.8]))
    assert bias == 2 - 0.5


def test_lars_decays_matrices_within_the_scaled_gradient_and_never_biases():
    """g' = (0.6, 0.8) + 0.1 (3, 4) has length 1.5 and points where the weight does: it moves by 0.01 of its length."""
    matrix, bias = moved(Lars(1.0, weight_decay=0.1, trust=0.01))
    torch.testing.assert_close(matrix, torch.tensor([3.0, 4.0]) * 0.99)
    assert bias == 2 - 0.5


def test_lars_takes_the_gradient_as_it_is_where_the_weight_is_zero():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.zero_()
    network.weight.grad = torch.ones(1, 1)
    Lars(0.5).build(network).step()
    assert network.weight.item() == -0.5


def test_momentum_of_steps_keeps_old_rates_and_momentum_of_gradients_takes_the_new():
    steps, gradients = (
        moved(Lars(1.0, remembers=remembers), rates=(1.0, 0.1))[1] for remembers in ("steps", "gradients")
    )
    assert steps.item() == pytest.approx(2 - 0.5 - (0.9 * 0.5 + 0.1 * 0.5))
    assert gradients.item() == pytest.approx(2 - 0.5 - 0.1 * (0.9 * 0.5 + 0.5))


def test_larc_adapts_and_decays_every_parameter():
    """SwAV's: rates from trust |w| / (|g| + decay |w|), biases included."""
    matrix, bias = moved(Larc(1.0, weight_decay=0.1, trust=0.01))
    rate = 0.01 * 5 / (1 + 0.1 * 5)
    torch.testing.assert_close(matrix, torch.tensor([3.0, 4.0]) - rate * torch.tensor([0.9, 1.2]))
    assert bias.item() == pytest.approx(2 - 0.01 * 2 / (0.5 + 0.1 * 2) * (0.5 + 0.1 * 2))


def test_sgd_decays_every_parameter():
    matrix, bias = moved(Sgd(1.0, weight_decay=0.1))
    torch.testing.assert_close(matrix, torch.tensor([3.0, 4.0]) - torch.tensor([0.9, 1.2]))
    assert bias.item() == pytest.approx(2 - 0.7)


def test_adamw_leaves_the_length_of_vectors_alone():
    network = Two()
    optimizer = AdamW(0.1, weight_decay=0.5).build(network)
    network.matrix.grad, network.bias.grad = torch.zeros(1, 2), torch.zeros(1)
    optimizer.step()
    torch.testing.assert_close(network.matrix.detach(), torch.tensor([[3.0, 4.0]]) * 0.95)
    assert network.bias.item() == 2


def test_parameter_without_a_gradient_stays():
    network = Two()
    optimizer = Lars(1.0).build(network)
    network.bias.grad = torch.ones(1)
    optimizer.step()
    assert network.matrix.tolist() == [[3, 4]]


def test_sgd_is_fused_on_a_gpu_and_its_state_is_that_of_a_cpu():
    with PretendedGpu():
        assert Sgd(0.1).build(Two().to("cuda")).param_groups[0]["fused"]
    plain, fused = (Sgd(0.1).build(Two()) for _ in range(2))
    assert plain.param_groups[0]["fused"] is None
    fused.param_groups[0]["fused"] = True
    for optimizer in (plain, fused):
        for _ in range(3):
            for weight in optimizer.param_groups[0]["params"]:
                weight.grad = torch.ones_like(weight)
            optimizer.step()
    torch.testing.assert_close(fused.state_dict()["state"], plain.state_dict()["state"])
