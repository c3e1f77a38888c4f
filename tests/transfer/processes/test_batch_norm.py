"""Batch norm over several processes is that of one process with all their images, and so are the gradients."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from goodviews.hub.shared_batch_norm import SharedBatchNorm, SharedBatchNormAct
from goodviews.transfer.processes.sharing import gather, rank_and_world, share_batch_norm, share_gradients
from goodviews.transfer.processes.start import others_run

IMAGES = torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
ROWS = (5, 1)  # images of two steps; the second leaves one process without any


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 2), BatchNormAct2d(4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).double().train()


def gradients(model: nn.Module, inner: nn.Module, share: slice, world: int) -> list[Tensor]:
    """Of the mean of squares of two batches, after which running statistics have moved twice."""
    for count in ROWS:
        model.zero_grad()
        (model(IMAGES[:count][share]).square().sum() * world / count).backward()
    return [weight.grad.clone() for weight in inner.parameters()] + [value.clone() for value in inner.buffers()]


def in_one_of_two(device: torch.device) -> list[list[Tensor]]:
    rank, world = rank_and_world()
    inner = network()
    share_batch_norm(inner)
    assert [type(inner[place]) for place in (1, 4)] == [SharedBatchNorm, SharedBatchNormAct]
    return gather(gradients(share_gradients(inner), inner, slice(rank, None, world), world))


def take_part(device: torch.device) -> None:
    in_one_of_two(device)


def test_one_process_keeps_its_batch_norm():
    alone = network()
    share_batch_norm(alone)
    assert type(alone[1]) is nn.BatchNorm2d


@pytest.mark.slow
def test_two_processes_with_different_shares_have_the_gradients_and_statistics_of_one():
    with others_run(take_part, (), processes=2, device=torch.device("cpu")):
        both = in_one_of_two(torch.device("cpu"))
    alone = network()
    expected = gradients(alone, alone, slice(None), 1)
    for found in both:
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
