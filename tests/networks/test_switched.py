"""Switched edges: what they compute, and what an edge that is off leaves out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_cli.networks.mixed import FanOut
from nas_cli.networks.switched import EdgeSwitch, SwitchedFanOut

NAMES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")


def fan_out(edge_switch: EdgeSwitch = "input", stride: int = 1, edges: int = 2) -> SwitchedFanOut:
    torch.manual_seed(0)
    return SwitchedFanOut([NAMES] * edges, 4, stride, edge_switch=edge_switch).double()


def image(side: int = 6) -> Tensor:
    return torch.randn(3, 4, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def switches(edges: int = 2) -> Tensor:
    return torch.rand(edges, len(NAMES) + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.5


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("edge_switch", ["input", "output"])
def test_the_sum_by_hand(edge_switch: EdgeSwitch, stride: int) -> None:
    made, x, s = fan_out(edge_switch, stride).eval(), image(), switches()
    outputs = made(x, s)
    assert len(outputs) == 2
    for edge, output in enumerate(outputs):
        operations: nn.ModuleList = made.edges[edge]  # type: ignore[assignment]
        assert len(operations) == 3  # `none` has no module
        whole = s[edge, -1]
        if edge_switch == "input":
            expected = sum(s[edge, 1 + k] * operation(whole * x) for k, operation in enumerate(operations))
        else:
            expected = whole * sum(s[edge, 1 + k] * operation(x) for k, operation in enumerate(operations))
        assert torch.allclose(output, expected, rtol=1e-12, atol=1e-14)


def test_with_an_edge_switch_of_1_it_is_the_plain_mixed_edge() -> None:
    made, x, s = fan_out("input"), image(), switches()
    s[:, -1] = 1
    plain = FanOut([NAMES] * 2, 4, 1).double()
    outputs = made(x, s)
    # Operations without weights are the same in both.
    s[:, 3] = 0
    for output, other in zip(made(x, s), plain(x, s[:, :-1]), strict=True):
        assert torch.allclose(output, other, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(outputs[0], made(x, s)[0])


def test_what_is_off_is_not_computed() -> None:
    made, x = fan_out(), image().requires_grad_()
    s = switches()
    s[0, 3] = 0  # one operation
    s[1, -1] = 0  # a whole edge
    s.requires_grad_()
    calls: list[int] = []
    for module in made.edges.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_: calls.append(1))
    first, second = made(x, s)
    assert calls == []
    assert first.abs().sum() > 0
    assert second.abs().sum() == 0
    (first.sum() + second.sum()).backward()
    assert s.grad is not None
    assert s.grad[1].abs().sum() == 0
    assert all(parameter.grad is None for parameter in made.parameters())


def test_a_switch_for_each_image_gives_the_slopes_of_each() -> None:
    made, x, s = fan_out().eval(), image(), switches()
    own = s[..., None].repeat(1, 1, len(x)).requires_grad_()
    for output, together in zip(made(x, own), made(x, s), strict=True):
        assert torch.allclose(output, together)
    (slopes,) = torch.autograd.grad(sum(output.square().sum() for output in made(x, own)), own)
    for number in range(len(x)):
        alone = s.clone().requires_grad_()
        total = sum(output.square().sum() for output in made(x[number : number + 1], alone))
        (expected,) = torch.autograd.grad(total, alone)
        assert torch.allclose(slopes[..., number], expected)


def test_the_edge_switch_before_normalisation_is_blind_in_training_and_not_in_evaluation() -> None:
    made = SwitchedFanOut([("sep_conv_3x3",)], 4, 1).double()
    x, s = 30 * image(), torch.ones(1, 2, dtype=torch.float64, requires_grad=True)

    def slope() -> float:
        (output,) = made(x, s)
        (found,) = torch.autograd.grad((output * image().flip(0)).sum(), s)
        return float(found[0, -1].abs() / found[0, 0].abs())

    trained = slope()
    made.eval()
    assert trained < 1e-3 < 0.1 < slope()
