"""Batch norm over all processes: which kind on which device, and that it changes neither names nor results of one."""

import socket

import pytest
import torch
import torch.distributed as dist
from torch import nn

from goodviews.hub.shared_batch_norm import SharedBatchNorm, share_batch_norm
from goodviews.pretrain.models.across_processes import gather_with_gradient
from goodviews.pretrain.models.networks import build_network


@pytest.fixture
def alone():
    """A process group of one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(("device", "kind"), [("cpu", SharedBatchNorm), ("cuda", nn.SyncBatchNorm)])
def test_every_batch_norm_is_shared_and_tensors_keep_their_names(device, kind):
    network = build_network("test_resnet", head="simclr", dim=8, patches=0, seed=0)
    names = list(network.state_dict())
    share_batch_norm(network, torch.device(device))
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) > 10
    assert {type(norm) for norm in norms} == {kind}
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 5)])
def test_shared_batch_norm_of_one_process_is_torchs(shape, alone):
    ours, theirs = (nn.BatchNorm2d(4) if len(shape) == 4 else nn.BatchNorm1d(4) for _ in range(2))
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.arange(1.0, 5))
            norm.bias.copy_(torch.arange(4.0))
    share_batch_norm(ours, torch.device("cpu"))
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
    first, second = images.clone().requires_grad_(), images.clone().requires_grad_()
    torch.testing.assert_close(ours(first), theirs(second))
    (ours(first) ** 2).sum().backward()
    (theirs(second) ** 2).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(images), theirs(images))


def test_gathering_in_one_process_gives_the_rows_themselves():
    rows = torch.randn(3, 2)
    assert gather_with_gradient(rows) is rows
