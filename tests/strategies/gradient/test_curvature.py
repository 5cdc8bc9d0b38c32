"""Diagonal Hessians: where the recursion is exact, where it is not, and Fisher's (systems sheet, section 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import CombinationError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.operations import FactorizedReduce, ReLUConvBN
from nas_cli.networks.supernet import Supernet
from nas_cli.networks.switched import Switch, SwitchedFanOut
from nas_cli.strategies.gradient.curvature import check_layers, fisher, recursive, squared_jacobians

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-15}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def true_diagonal(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The diagonal of autograd's own Hessian."""
    hessian = torch.autograd.functional.hessian(loss, at)  # type: ignore[no-untyped-call]
    assert isinstance(hessian, Tensor)
    return hessian.reshape(at.numel(), at.numel()).diagonal().reshape(at.shape)


def carried(network: nn.Module, x: Tensor, seed: Callable[[Tensor], Tensor], at: list[Tensor]) -> tuple[Tensor, ...]:
    """The diagonals that the recursion brings to `at`, from that at the output."""
    with squared_jacobians(network):
        output = network(x)
    return torch.autograd.grad(output, at, seed(output.detach()))


def half_square(y: Tensor) -> Tensor:
    return y.square().sum() / 2


def made(network: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, its statistics not those of nothing."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network.double().eval()


def test_weights_of_a_linear_layer_before_softmax_and_cross_entropy() -> None:
    layer, x, labels = made(nn.Linear(5, 4)), draw(7, 5), torch.arange(7) % 4
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, nn.Parameter)
    assert isinstance(bias, nn.Parameter)

    def seed(logits: Tensor) -> Tensor:
        p = logits.softmax(dim=1)
        return p * (1 - p)

    (found,) = carried(layer, x, seed, [weight])
    expected = true_diagonal(lambda w: F.cross_entropy(F.linear(x, w, bias), labels, reduction="sum"), weight.detach())
    assert torch.allclose(found, expected, **EXACT)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, stride=1, padding=1, bias=False),
        nn.Conv2d(3, 6, 3, stride=2, padding=2, dilation=2, groups=3),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        nn.AvgPool2d(3, 1, padding=1, count_include_pad=True),
        nn.AdaptiveAvgPool2d(1),
        nn.MaxPool2d(3, 2, padding=1),
        nn.BatchNorm2d(3),
        nn.BatchNorm2d(3, affine=False),
        nn.ReLU(),
        nn.Identity(),
    ],
    ids=str,
)
def test_the_input_of_one_layer_under_half_the_square_of_its_output(layer: nn.Module) -> None:
    layer, x = made(layer), draw(2, 3, 6, 6).requires_grad_()
    (found,) = carried(layer, x, torch.ones_like, [x])
    assert torch.allclose(found, true_diagonal(lambda at: half_square(layer(at)), x.detach()), **EXACT)


def test_an_average_of_two_by_two_gives_a_sixteenth() -> None:
    x = draw(1, 1, 4, 4).requires_grad_()
    (found,) = carried(nn.AvgPool2d(2), x, torch.ones_like, [x])
    assert (found == 1 / 16).all()


def test_weights_of_a_convolution_under_half_the_square_of_its_output() -> None:
    layer, x = made(nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)), draw(2, 4, 5, 5)
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    (found,) = carried(layer, x, torch.ones_like, [weight])
    expected = true_diagonal(lambda w: half_square(F.conv2d(x, w, padding=1, groups=2)), weight.detach())
    assert torch.allclose(found, expected, **EXACT)


def test_values_are_those_of_the_network_itself_and_the_hooks_go() -> None:
    network = made(nn.Sequential(ReLUConvBN(4, 4, 3), FactorizedReduce(4, 6), nn.AvgPool2d(2)))
    x = draw(2, 4, 8, 8).requires_grad_()
    plain = network(x)
    with squared_jacobians(network):
        assert torch.allclose(network(x), plain, rtol=1e-12, atol=1e-13)
    first, second = (torch.autograd.grad(half_square(network(x)), x)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert not any(module._forward_hooks for module in network.modules())


class OnLogits(nn.Module):
    """Logits s · o of two classes."""

    def __init__(self, *outputs: float) -> None:
        super().__init__()
        self.switch = Switch()
        self.outputs = torch.tensor(outputs, dtype=torch.float64)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        o = self.outputs.expand(len(images), -1)[:, :, None, None]
        logits: Tensor = self.switch(o, weights["normal"].flatten())[:, :, 0, 0]
        return logits


@pytest.mark.parametrize(("outputs", "of_recursion", "exact"), [((1.0, 0.0), 0.25, 0.25), ((1.0, -1.0), 0.5, 1.0)])
def test_a_switch_on_two_logits(outputs: tuple[float, float], of_recursion: float, exact: float) -> None:
    """The recursion drops what is off the diagonal between the logits; Fisher's matrix does not."""
    network, zero = OnLogits(*outputs), {"normal": torch.zeros(1, 1, 1, dtype=torch.float64)}
    images = torch.zeros(3, 1)
    assert float(recursive(network, images, zero)["normal"]) == pytest.approx(of_recursion)
    assert float(fisher(network, images, zero)["normal"]) == pytest.approx(exact)
    label = torch.zeros(3, dtype=torch.int64)
    true = true_diagonal(lambda s: F.cross_entropy(network(images, {"normal": s}), label), zero["normal"])
    assert float(true) == pytest.approx(exact)


@pytest.mark.parametrize("name", ["skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "dil_conv_5x5"])
@pytest.mark.parametrize("edge_switch", ["input", "output"])
def test_switches_of_operations_under_half_the_square_of_an_edge(name: str, edge_switch: Any) -> None:
    """An edge is linear in the switches of its operations, and its elements are apart: there it is exact."""
    fan_out, x = made(SwitchedFanOut([(name, "skip_connect")], 4, 1, edge_switch=edge_switch)), draw(3, 4, 6, 6)
    s = torch.tensor([[0.7, 1.2, 0.9]], dtype=torch.float64, requires_grad=True)
    with squared_jacobians(fan_out):
        (output,) = fan_out(x, s)
    (found,) = torch.autograd.grad(output, s, torch.ones_like(output))
    expected = true_diagonal(lambda at: half_square(fan_out(x, at)[0]), s.detach())
    assert torch.allclose(found[:, :2], expected[:, :2], **EXACT)


def test_the_switch_of_an_edge_with_one_identity_is_exact_too() -> None:
    fan_out, x = made(SwitchedFanOut([("none", "skip_connect")], 4, 1)), draw(3, 4, 6, 6)
    s = torch.tensor([[0.0, 1.2, 0.9]], dtype=torch.float64, requires_grad=True)
    with squared_jacobians(fan_out):
        (output,) = fan_out(x, s)
    (found,) = torch.autograd.grad(output, s, torch.ones_like(output))
    expected = true_diagonal(lambda at: half_square(fan_out(x, at)[0]), s.detach())
    assert torch.allclose(found, expected, **EXACT)
    assert found[0, 0] == 0


def supernet() -> tuple[Supernet, dict[str, Tensor]]:
    names = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3")
    choices = {
        kind: Choices(all_pairs(2, 2), (names,) * 5, repeats=count) for kind, count in (("normal", 1), ("reduce", 2))
    }
    torch.manual_seed(0)
    network = Supernet(choices, (1, 8, 8), 3, 4, 3, SwitchedFanOut)
    images = draw(16, 1, 8, 8)
    weights = {kind: torch.ones(open_.repeats, 5, 5, dtype=torch.float64) for kind, open_ in choices.items()}
    network.double().train()
    with torch.no_grad():
        network(images, weights)
    return network.eval(), weights


@pytest.mark.parametrize("curvature", [recursive, fisher])
def test_a_whole_supernet(curvature: Any) -> None:
    network, weights = supernet()
    check_layers(network)
    images = draw(4, 1, 8, 8, seed=5)
    weights["normal"][0, 4] = 0  # an edge that is off, with all of its operations
    found = curvature(network, images, weights)
    assert {kind: rows.shape for kind, rows in found.items()} == {kind: rows.shape for kind, rows in weights.items()}
    for kind, rows in found.items():
        assert (rows >= 0).all()
        assert (rows[..., 0] == 0).all()  # `none`
        live = weights[kind] != 0
        live[..., 0] = False
        assert (rows[live] > 0).all()
    assert (found["normal"][0, 4] == 0).all()
    # The mean over images: the same from parts.
    parts = [curvature(network, part, weights) for part in images.split(2)]  # type: ignore[no-untyped-call]
    for kind, rows in found.items():
        assert torch.allclose(rows, (parts[0][kind] + parts[1][kind]) / 2)


def test_what_follows_a_dead_path_has_no_curvature() -> None:
    """The reduction cells are off: nothing that comes before them is seen by the loss."""
    network, weights = supernet()
    weights["reduce"][:] = 0
    for curvature in (recursive, fisher):
        found = curvature(network, draw(4, 1, 8, 8), weights)
        assert all((rows == 0).all() for rows in found.values())


def test_fisher_by_one_image_and_class_at_a_time() -> None:
    network, weights = supernet()
    images = draw(3, 1, 8, 8)
    found = fisher(network, images, weights)
    total = torch.zeros_like(weights["reduce"])
    for image in images:
        for of_class in range(3):
            leaves = {kind: rows.clone().requires_grad_() for kind, rows in weights.items()}
            log_p = network(image[None], leaves).log_softmax(dim=1)[0, of_class]
            (slope,) = torch.autograd.grad(log_p, leaves["reduce"])
            total += log_p.detach().exp() * slope.square() / 3
    assert torch.allclose(found["reduce"], total)


def test_the_recursion_and_fisher_agree_on_what_matters() -> None:
    network, weights = supernet()
    images = draw(16, 1, 8, 8, seed=9)
    first, second = (
        torch.cat([rows[..., 1:].flatten() for rows in curvature(network, images, weights).values()]).log()
        for curvature in (recursive, fisher)
    )
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] > 0.4


def test_a_layer_that_the_recursion_does_not_know_is_refused() -> None:
    with pytest.raises(CombinationError, match=r"recursive does not know the layer Sigmoid \(1\); hessian=fisher"):
        check_layers(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()))
