"""First- and second-order gradients: the paper's toy problem, and a smooth supernet (systems sheet, section 2.6)."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
import supernet as bench
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas_cli.errors import DivergedError, InputError
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.hardware import Hardware
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder, SecondOrder, look_ahead
from nas_cli.strategies.gradient.mixing import Softmax

TRAIN, HELD_OUT = (torch.zeros(1), torch.tensor(0)), (torch.zeros(1), torch.tensor(1))
SIZE = bench.Size(2, 3, 4, (1, 8, 8))


class Toy(nn.Module):
    """Its one weight and the architecture's one parameter, side by side."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, images: Tensor, weights: dict[str, Tensor]) -> Tensor:
        return torch.stack([self.w, weights["a"]])


def toy_loss(outputs: Tensor, label: Tensor) -> Tensor:
    w, a = outputs
    return a * w - 2 * a + 1 if label else w**2 - 2 * a * w + a**2


class Identity(Softmax):
    def weights(self, parameters: Any) -> dict[str, Tensor]:
        return dict(parameters)


def toy(w: float, rate: float) -> SharedWeights:
    network = Toy(w)
    stub = SimpleNamespace(
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=rate),
        hardware=SimpleNamespace(autocast=nullcontext),
        loss=toy_loss,
        forward=network,
    )
    return cast(SharedWeights, stub)


def toy_gradient(method: FirstOrder | SecondOrder, shared: SharedWeights, alpha: Tensor) -> float:
    return method(shared, Identity(), {"a": alpha}, TRAIN, HELD_OUT)[0].item()


@pytest.mark.parametrize("product", ["finite_difference", "exact"])
@pytest.mark.parametrize(("rate", "expected"), [(0.0, -4.0), (0.1, -2.8), (0.5, 2.0)])
def test_toy_problem_of_the_paper(product: Any, rate: float, expected: float) -> None:
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert toy_gradient(SecondOrder(product), toy(-2.0, rate), alpha) == pytest.approx(expected, abs=1e-10)
    assert toy_gradient(FirstOrder(), toy(-2.0, rate), alpha) == pytest.approx(-4.0)


@pytest.mark.parametrize(("rate", "fixed_point"), [(0.0, 2.0), (0.1, 2 / 1.2), (0.5, 1.0)])
def test_gradient_play_ends_at_the_known_point(rate: float, fixed_point: float) -> None:
    shared = toy(-2.0, rate)
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    w = cast(Toy, shared.network).w
    for _ in range(150):
        slope = toy_gradient(SecondOrder(), shared, alpha)
        with torch.no_grad():
            alpha -= 0.1 * slope
            w -= (rate or 0.1) * 2 * (w - alpha)
    assert [alpha.item(), w.item()] == pytest.approx([fixed_point, fixed_point], abs=1e-3)


def test_look_ahead_has_momentum_and_weight_decay() -> None:
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.1)
    slope = torch.tensor([2.0], dtype=torch.float64)
    assert look_ahead(optimizer, [weight], [slope])[0].item() == pytest.approx(1 - 0.1 * (2 + 0.1))
    optimizer.state[weight]["momentum_buffer"] = torch.tensor([0.5], dtype=torch.float64)
    assert look_ahead(optimizer, [weight], [slope])[0].item() == pytest.approx(0.745)
    weight.grad = slope.clone()
    optimizer.step()  # and it is where the optimiser itself goes
    assert weight.item() == pytest.approx(0.745)


def twins(size: bench.Size = SIZE) -> bench.Twins:
    with seeded(0):
        return bench.Twins(size)


def smooth(network: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(3, child.stride, 1, count_include_pad=False))


def gradient(side: bench.Twins, method: FirstOrder | SecondOrder) -> Tensor:
    found = method(side.shared, side.mixing, side.parameters, side.train, side.held_out)
    return torch.cat([part.flatten() for part in found])


def gradient_ahead(side: bench.Twins) -> Tensor:
    """∇_α L_val(w', α), the part of the second-order gradient that needs no second derivative."""
    shared = side.shared
    names, weights = zip(*shared.network.named_parameters(), strict=True)

    def loss(values: Any, batch: Any) -> Tensor:
        call = (batch[0], side.mixing.weights(side.parameters))
        return F.cross_entropy(functional_call(shared.network, dict(zip(names, values, strict=True)), call), batch[1])

    ahead = look_ahead(shared.optimizer, weights, torch.autograd.grad(loss(weights, side.train), weights))
    found = torch.autograd.grad(loss(ahead, side.held_out), list(side.parameters.values()))
    return torch.cat([part.flatten() for part in found])


def test_finite_difference_nears_the_exact_product_with_epsilon_squared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "relu", F.softplus)  # the two agree where the function is smooth, and only there
    side = twins(bench.Size(4, 3, 8, (1, 8, 8)))
    smooth(side.shared.network)
    exact = gradient(side, SecondOrder("exact"))
    product = (exact - gradient_ahead(side)).norm()
    errors = [
        ((gradient(side, SecondOrder(epsilon=epsilon)) - exact).norm() / product).item() for epsilon in (0.01, 0.001)
    ]
    assert 2e-4 < errors[0] < 2e-3  # the sheet: 2.8e-4 to 1.1e-3
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)


def test_step_zero_is_first_order() -> None:
    side = twins()
    side.shared.optimizer.param_groups[0]["lr"] = 0.0
    first = gradient(side, FirstOrder())
    for product in ("finite_difference", "exact"):
        torch.testing.assert_close(gradient(side, SecondOrder(product)), first, rtol=0, atol=1e-14)
    side.shared.optimizer.param_groups[0]["lr"] = 0.025
    assert (gradient(side, SecondOrder()) - first).norm() > 1e-3 * first.norm()


@pytest.mark.parametrize("product", ["finite_difference", "exact"])
def test_second_order_changes_nothing(product: Any) -> None:
    side = twins()
    side.shared.weight_step(side.train, side.mixing.weights(side.parameters))  # so that there is momentum
    weights = list(side.shared.network.parameters())
    states = [
        *side.shared.network.state_dict().values(),
        *(side.shared.optimizer.state[weight]["momentum_buffer"] for weight in weights),
        *side.parameters.values(),
    ]
    before = [state.detach().clone() for state in states]
    slopes = [None if weight.grad is None else weight.grad.clone() for weight in weights]
    gradient(side, SecondOrder(product))
    assert all(torch.equal(now, then) for now, then in zip(states, before, strict=True))
    assert all(torch.equal(cast(Tensor, w.grad), cast(Tensor, then)) for w, then in zip(weights, slopes, strict=True))


def test_a_weight_step_gives_the_architecture_no_gradient() -> None:
    side = twins()
    side.shared.weight_step(side.train, side.mixing.weights(side.parameters))
    assert all(alpha.grad is None for alpha in side.parameters.values())


@pytest.mark.parametrize("method", [FirstOrder(), SecondOrder(), SecondOrder("exact")])
def test_a_loss_that_is_not_finite_is_told(method: FirstOrder | SecondOrder) -> None:
    alpha = torch.tensor(float("nan"), dtype=torch.float64, requires_grad=True)
    with pytest.raises(DivergedError, match="nan"):
        toy_gradient(method, toy(1.0, 0.1), alpha)


def test_epsilon_must_be_positive() -> None:
    with pytest.raises(InputError, match="epsilon must be above 0, not 0"):
        SecondOrder(epsilon=0)


def test_a_direction_of_zero_leaves_the_direct_gradient() -> None:
    class Flat(Toy):
        """The validation loss does not depend on the weight."""

        def forward(self, images: Tensor, weights: dict[str, Tensor]) -> Tensor:
            return torch.stack([0 * self.w, weights["a"]])

    shared = toy(-2.0, 0.1)
    shared.network = Flat(-2.0)  # type: ignore[misc]
    shared.optimizer = torch.optim.SGD(shared.network.parameters(), lr=0.1)  # type: ignore[misc]
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert toy_gradient(SecondOrder(), shared, alpha) == -2.0  # of 0 - 2 a + 1


def test_finite_differences_are_taken_in_full_precision() -> None:
    seen: list[bool] = []

    class Watched(Toy):
        def forward(self, images: Tensor, weights: dict[str, Tensor]) -> Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(images, weights)

    shared = toy(-2.0, 0.1)
    shared.network = Watched(-2.0)  # type: ignore[misc]
    shared.optimizer = torch.optim.SGD(shared.network.parameters(), lr=0.1)  # type: ignore[misc]
    shared.hardware = Hardware("cpu", precision="bf16")
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    toy_gradient(SecondOrder(), shared, alpha)
    assert seen == [True, True, False, False]  # the coming weight step, the look ahead, and the two differences
