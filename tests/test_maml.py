"""The inner loop on a loss whose every number is known (systems sheet, sec. 3.7)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nas_cli.errors import DivergedError, InputError
from nas_cli.maml import Adaptation, Loss, leaves


def toy(target: float) -> Loss:
    """L(w, θ) = (w + θ - t)² / 2."""
    return lambda weights, parameters: ((weights["w"] + parameters["theta"] - target) ** 2 / 2).sum()


SUPPORT, QUERY = toy(0.0), toy(0.5)


def start() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    weights = {"w": torch.tensor([1.0], dtype=torch.float64, requires_grad=True)}
    return weights, {"theta": torch.tensor([0.0], dtype=torch.float64, requires_grad=True)}


def adaptation(**options: Any) -> Adaptation:
    return Adaptation(**{"steps": 5, "weight_rate": 0.1, "architecture_rate": 0.2, **options})


def test_five_joint_steps() -> None:
    weights, parameters = adaptation().adapt(SUPPORT, *start(), 5)
    assert weights["w"].item() == pytest.approx(0.72269, abs=5e-6)
    assert parameters["theta"].item() == pytest.approx(-0.55462, abs=5e-6)
    assert (weights["w"] + parameters["theta"]).item() == pytest.approx(0.7**5, abs=1e-12)


@pytest.mark.parametrize("second", [False, True])
def test_five_alternating_steps(second: bool) -> None:
    weights, parameters = adaptation(alternating=True, second_order=second).adapt(SUPPORT, *start(), 5)
    assert (weights["w"] + parameters["theta"]).item() == pytest.approx(0.72**5, abs=1e-12)
    assert pytest.approx(0.1934918, abs=5e-8) == 0.72**5


@pytest.mark.parametrize(("second", "expected"), [(False, -0.33193), (True, -0.0557875)])
def test_the_meta_gradient_of_first_and_of_second_order(second: bool, expected: float) -> None:
    weights, parameters = start()
    found = adaptation(second_order=second).meta_gradient(SUPPORT, QUERY, weights, parameters)
    assert [float(value) for value in found] == pytest.approx([expected] * 2, abs=5e-6)
    assert (weights["w"].item(), parameters["theta"].item()) == (1.0, 0.0)
    assert weights["w"].grad is None


@pytest.mark.parametrize("alternating", [False, True])
def test_second_order_against_differences(alternating: bool) -> None:
    def support(weights: Any, parameters: Any) -> Tensor:
        wave: Tensor = torch.sin(weights["w"] * 1.3 + parameters["theta"])
        total: Tensor = (wave + weights["w"] ** 3 / 5).sum()
        return total

    made = adaptation(steps=3, alternating=alternating, second_order=True)

    def value(w: float, theta: float) -> float:
        first, second = start()
        with torch.no_grad():
            first["w"].fill_(w)
            second["theta"].fill_(theta)
        plain = adaptation(steps=3, alternating=alternating)
        return QUERY(*plain.adapt(support, first, second, 3)).item()

    found = made.meta_gradient(support, QUERY, *start())
    step = 1e-5
    differences = [
        (value(1 + step, 0) - value(1 - step, 0)) / (2 * step),
        (value(1, step) - value(1, -step)) / (2 * step),
    ]
    assert [float(slope) for slope in found] == pytest.approx(differences, abs=1e-8)


def test_without_a_step_it_is_the_gradient_of_joint_training() -> None:
    weights, parameters = start()
    expected = torch.autograd.grad(QUERY(weights, parameters), [weights["w"], parameters["theta"]])
    for second in (False, True):
        found = adaptation(steps=0, second_order=second).meta_gradient(SUPPORT, QUERY, weights, parameters)
        assert [float(value) for value in found] == [float(value) for value in expected]


@pytest.mark.parametrize("alternating", [False, True])
def test_a_rate_of_0_leaves_the_architecture_and_gives_plain_maml(alternating: bool) -> None:
    made = adaptation(architecture_rate=0.0, alternating=alternating)
    weights, parameters = made.adapt(SUPPORT, *start(), 5)
    assert parameters["theta"].item() == 0.0
    assert weights["w"].item() == pytest.approx(0.9**5)
    found = made.meta_gradient(SUPPORT, QUERY, *start())
    assert float(found[0]) == pytest.approx(0.9**5 - 0.5)
    # The same from an inner loop that has no architecture at all.
    alone, _ = adaptation().adapt(lambda w, _: SUPPORT(w, {"theta": torch.zeros(1)}), start()[0], {}, 5)
    assert alone["w"].item() == pytest.approx(0.9**5)


def test_what_a_loss_does_not_read_stays() -> None:
    weights, parameters = start()
    more = {**parameters, "unread": torch.ones(2, dtype=torch.float64, requires_grad=True)}
    _, moved = adaptation().adapt(SUPPORT, weights, more, 2)
    assert torch.equal(moved["unread"], more["unread"])
    assert torch.equal(adaptation().meta_gradient(SUPPORT, QUERY, weights, more)[2], torch.zeros(2).double())


def test_leaves_share_memory_and_forget() -> None:
    weights, _ = start()
    copy = leaves({"w": weights["w"] * 2})["w"]
    assert copy.is_leaf
    assert copy.requires_grad


def test_a_bad_loss_is_told() -> None:
    with pytest.raises(DivergedError, match="a loss of the inner loop is nan"):
        adaptation().adapt(lambda w, p: SUPPORT(w, p) * float("nan"), *start(), 1)
    with pytest.raises(DivergedError, match="a query loss is inf"):
        adaptation().meta_gradient(SUPPORT, lambda w, p: QUERY(w, p) + float("inf"), *start())


@pytest.mark.parametrize("option", ["steps", "weight_rate", "architecture_rate"])
def test_ranges(option: str) -> None:
    given: dict[str, Any] = {option: -1}
    with pytest.raises(InputError, match=f"{option} must be at least 0, not -1"):
        Adaptation(**given)
    with pytest.raises(InputError, match="test_steps must be at least 1, not 0"):
        Adaptation(test_steps=0)
