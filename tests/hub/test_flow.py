import pytest
import torch

from goodviews.hub.errors import UsageError
from goodviews.hub.flow import Flow, FlowPlan

PLANS = [
    FlowPlan("additive", "RGB"),
    FlowPlan("affine", "RGB"),
    FlowPlan("additive", "YDbDr"),
    FlowPlan("affine", "YDbDr"),
]


def images(seed: int) -> torch.Tensor:
    return 2 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.coupling}-{plan.space}")
def test_the_inverse_gives_the_colours_back_all_through_a_training(plan):
    torch.manual_seed(0)
    flow = Flow(plan)
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.03)
    for step in range(30):
        found = flow(images(step))
        assert float((flow.inverse(found) - images(step)).detach().abs().max()) < 1e-4
        loss = (found[:, 0] - found[:, 1] * found[:, 2]).square().mean() + found[:, 1].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float((flow(images(0)) - Flow(plan)(images(0))).detach().abs().max()) > 0.1  # it moved


@pytest.mark.parametrize("coupling", ["additive", "affine"])
def test_an_untrained_generator_gives_the_colours_themselves(coupling):
    torch.testing.assert_close(Flow(FlowPlan(coupling))(images(0)), images(0))


def volume(flow: Flow) -> float:
    pixel = torch.randn(3, generator=torch.Generator().manual_seed(1))
    jacobian = torch.autograd.functional.jacobian(lambda x: flow(x.view(1, 3, 1, 1)).flatten(), pixel)
    return float(torch.linalg.det(jacobian).abs())


def moved(plan: FlowPlan) -> Flow:
    torch.manual_seed(0)
    flow = Flow(plan)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return flow


def test_additive_couplings_preserve_volume_and_affine_ones_do_not():
    assert volume(moved(FlowPlan("additive"))) == pytest.approx(1.0, abs=1e-4)
    assert abs(volume(moved(FlowPlan("affine"))) - 1) > 0.01


def test_an_unknown_coupling_is_refused():
    with pytest.raises(UsageError, match="additive or affine"):
        FlowPlan("other")
