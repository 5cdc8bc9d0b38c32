"""First- and second-order gradients: the paper's toy problem, and a smooth supernet (systems sheet, section 2.6)."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import supernet as bench
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas_cli.errors import DivergedError, InputError
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder, SecondOrder, look_ahead

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


class ToyWeights:
    """What an architecture gradient asks of shared weights."""

    def __init__(self, network: Toy, rate: float) -> None:
        self.network = network
        self.optimizer = torch.optim.SGD(network.parameters(), lr=rate)
        self.in_full_precision: list[bool] = []

    def loss(self, batch: Any, weights: Any, values: Any = None, full_precision: bool = False) -> Tensor:
        self.in_full_precision.append(full_precision)
        images, label = batch
        call = (images, weights)
        return toy_loss(self.network(*call) if values is None else functional_call(self.network, values, call), label)


def toy(w: float, rate: float) -> ToyWeights:
    return ToyWeights(Toy(w), rate)


def toy_gradient(method: FirstOrder | SecondOrder, shared: ToyWeights, alpha: float) -> float:
    leaf = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    return method.slopes(cast(SharedWeights, shared), {"a": leaf}, TRAIN, HELD_OUT)["a"].item()


@pytest.mark.parametrize("product", ["finite_difference", "exact"])
@pytest.mark.parametrize(("rate", "expected"), [(0.0, -4.0), (0.1, -2.8), (0.5, 2.0)])
def test_toy_problem_of_the_paper(product: Any, rate: float, expected: float) -> None:
    assert toy_gradient(SecondOrder(product), toy(-2.0, rate), 2.0) == pytest.approx(expected, abs=1e-10)
    assert toy_gradient(FirstOrder(), toy(-2.0, rate), 2.0) == pytest.approx(-4.0)


@pytest.mark.parametrize(("rate", "fixed_point"), [(0.0, 2.0), (0.1, 2 / 1.2), (0.5, 1.0)])
def test_gradient_play_ends_at_the_known_point(rate: float, fixed_point: float) -> None:
    shared = toy(-2.0, rate)
    alpha, w = 2.0, shared.network.w
    for _ in range(150):
        alpha -= 0.1 * toy_gradient(SecondOrder(), shared, alpha)
        with torch.no_grad():
            w -= (rate or 0.1) * 2 * (w - alpha)
    assert [alpha, w.item()] == pytest.approx([fixed_point, fixed_point], abs=1e-3)


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


def test_look_ahead_leaves_what_has_no_gradient() -> None:
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.1)
    optimizer.state[weight]["momentum_buffer"] = torch.tensor([0.5], dtype=torch.float64)
    assert look_ahead(optimizer, [weight], [None])[0].item() == 1.0
    optimizer.step()  # nor does the optimiser itself move it
    assert weight.item() == 1.0


def twins(size: bench.Size = SIZE) -> bench.Twins:
    with seeded(0):
        return bench.Twins(size)


def smooth(network: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(3, child.stride, 1, count_include_pad=False))


def gradient(side: bench.Twins, method: FirstOrder | SecondOrder) -> Tensor:
    return torch.cat([part.flatten() for part in side.architecture_gradient(method)])


def gradient_ahead(side: bench.Twins) -> Tensor:
    """∇_α L_val(w', α), the part of the second-order gradient that needs no second derivative."""
    shared, edges = side.shared, side.relaxation.weights()
    names, weights = zip(*shared.network.named_parameters(), strict=True)

    def loss(values: Any, batch: Any) -> Tensor:
        return shared.loss(batch, edges, dict(zip(names, values, strict=True)))

    slopes = torch.autograd.grad(loss(weights, side.train), weights, retain_graph=True)
    found = torch.autograd.grad(
        loss(look_ahead(shared.optimizer, weights, slopes), side.held_out), list(side.relaxation.parameters.values())
    )
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


class Noisy(ToyWeights):
    """Both losses get a random slope in α, drawn anew at each look."""

    def loss(self, batch: Any, weights: Any, values: Any = None, full_precision: bool = False) -> Tensor:
        slope = 10 * torch.randn((), dtype=torch.float64)
        return super().loss(batch, weights, values, full_precision) + slope * weights["a"]


def test_all_losses_of_a_step_see_the_same_noise() -> None:
    """The mixed second derivative is -2 whatever the noise: no difference of two draws is in it."""
    for seed in range(3):
        with seeded(seed):
            found = toy_gradient(SecondOrder(), Noisy(Toy(-2.0), 0.1), 2.0)
        with seeded(seed):
            exact = toy_gradient(SecondOrder("exact"), Noisy(Toy(-2.0), 0.1), 2.0)
        assert found == pytest.approx(exact, abs=1e-6)


def test_the_noise_is_another_in_every_step() -> None:
    with seeded(0):
        shared = Noisy(Toy(-2.0), 0.1)
        assert toy_gradient(SecondOrder(), shared, 2.0) != toy_gradient(SecondOrder(), shared, 2.0)


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
    side.shared.weight_step(side.train, side.relaxation.weights())  # so that there is momentum
    weights = list(side.shared.network.parameters())
    states = [
        *side.shared.network.state_dict().values(),
        *(side.shared.optimizer.state[weight]["momentum_buffer"] for weight in weights),
        *side.relaxation.parameters.values(),
    ]
    before = [state.detach().clone() for state in states]
    slopes = [None if weight.grad is None else weight.grad.clone() for weight in weights]
    gradient(side, SecondOrder(product))
    assert all(torch.equal(now, then) for now, then in zip(states, before, strict=True))
    assert all(torch.equal(cast(Tensor, w.grad), cast(Tensor, then)) for w, then in zip(weights, slopes, strict=True))


def test_a_weight_step_gives_the_architecture_no_gradient() -> None:
    side = twins()
    side.shared.weight_step(side.train, side.relaxation.weights())
    assert all(alpha.grad is None for alpha in side.relaxation.parameters.values())


@pytest.mark.parametrize("method", [FirstOrder(), SecondOrder(), SecondOrder("exact")])
def test_a_loss_that_is_not_finite_is_told(method: FirstOrder | SecondOrder) -> None:
    side = twins()
    side.held_out = (side.held_out[0] * math.nan, side.held_out[1])
    with pytest.raises(DivergedError, match="a loss of the architecture step is nan"):
        gradient(side, method)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epsilon": 0}, "epsilon must be above 0, not 0"),
        ({"gradient_clip": 0}, "gradient_clip must be above 0, not 0"),
    ],
)
def test_ranges(options: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        SecondOrder(**options)


def test_a_direction_of_zero_leaves_the_direct_gradient() -> None:
    class Flat(Toy):
        """The validation loss does not depend on the weight."""

        def forward(self, images: Tensor, weights: dict[str, Tensor]) -> Tensor:
            return torch.stack([0 * self.w, weights["a"]])

    assert toy_gradient(SecondOrder(), ToyWeights(Flat(-2.0), 0.1), 2.0) == -2.0  # of 0 - 2 a + 1


def test_finite_differences_are_taken_in_full_precision() -> None:
    shared = toy(-2.0, 0.1)
    toy_gradient(SecondOrder(), shared, 2.0)
    # The coming weight step, the look-ahead, and the two differences.
    assert shared.in_full_precision == [False, False, True, True]


@pytest.mark.parametrize("product", ["finite_difference", "exact"])
def test_clipped_gradients_of_the_look_ahead(product: Any) -> None:
    """At (α, w) = (2, -2): ∇_w L_train = -8 and ∇_w' L_val = 2, here both held to a norm of 1."""
    clipped = SecondOrder(product, gradient_clip=1.0)
    # w' = w - ξ (-1) and ∇_α L_val(w', α) = w' - 2; the mixed second derivative is -2.
    ahead = -2.0 + 0.1
    factor, length = 1 / 8, 1 / 2 if product == "finite_difference" else 1.0
    wanted = (ahead - 2) - 0.1 * factor * -2 * (2 * length)
    assert toy_gradient(clipped, toy(-2.0, 0.1), 2.0) == pytest.approx(wanted, abs=1e-5)
