"""Matrix products in place of convolutions over tiny maps."""

import pytest
import torch
from torch import nn

from goodviews.hub.backbone import build_backbone
from goodviews.pretrain.models.small_convolutions import SmallMapConv2d, speed_up_small_maps


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (5, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_result_and_gradients_are_those_of_the_convolution(size, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3, stride=stride, padding=1, bias=False).double()
    fast = nn.Conv2d(4, 6, 3, stride=stride, padding=1, bias=False).double()
    fast.load_state_dict(plain.state_dict())
    speed_up_small_maps(fast)
    images = torch.randn(3, 4, *size, dtype=torch.float64, requires_grad=True)
    outputs = [conv(images) for conv in (plain, fast)]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    gradients = [
        torch.autograd.grad((output * weights).sum(), (images, conv.weight))
        for output, conv in zip(outputs, (plain, fast))
    ]
    torch.testing.assert_close(*gradients)


def test_only_plain_3x3_convolutions_change_and_no_tensor_is_renamed():
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, bias=False, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, bias=False),
        nn.Conv2d(4, 4, 1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1),
    )
    names = [*network.state_dict()]
    speed_up_small_maps(network)
    assert [type(layer) is SmallMapConv2d for layer in network] == [True, False, False, False, False]
    assert [*network.state_dict()] == names


def test_a_resnet_gives_the_same_features_of_patches():
    torch.manual_seed(0)
    backbone = build_backbone("resnet18").eval()
    patches = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        expected = backbone(patches)
        torch.testing.assert_close(speed_up_small_maps(backbone)(patches), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "stride"), [((1, 1), 1), ((2, 2), 1), ((2, 2), 2), ((1, 2), 1)])
def test_gradients_of_several_uses_are_added_in_the_order_of_slices_bit_by_bit(size, stride, monkeypatch):
    torch.manual_seed(0)
    conv = speed_up_small_maps(nn.Conv2d(8, 8, 3, stride=stride, padding=1, bias=False))
    batches = [torch.randn(5, 8, *size) for _ in range(3)]

    def gradient() -> torch.Tensor:
        conv.zero_grad()
        sum(conv(batch).square().sum() for batch in batches).backward()
        return conv.weight.grad

    by_tap = gradient()
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # then slices are joined
    assert torch.equal(by_tap, gradient())
