"""Densities of single decisions: worked numbers, and that they are densities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid

from nas_cli.architecture import Value
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Normal, Real, When
from nas_cli.strategies.black_box.multivariate import Multivariate
from nas_cli.strategies.black_box.parzen import Choices, Form, Kernels, density, forget

UNIT = Real("x", 0.0, 1.0)
GOOD, BAD = (0.3, 0.4), (0.1, 0.6, 0.8, 0.95)


def made(decision: Decision, values: Any, form: Form = "hyperopt", forgetting: int | None = 25) -> Kernels:
    found = density(decision, values, form, 1.0, forgetting)
    assert isinstance(found, Kernels)
    return found


WORKED = {
    0.2: (1.3682196251, 0.4817897004, 1.1936466514, 0.6653451583),
    0.35: (1.5996075072, 0.6727789204, 1.2341371194, 0.7073337480),
    0.7: (0.7317204023, 1.4723306019, 0.8846456264, 1.2453496428),
    0.9: (0.3059579165, 1.5272261290, 0.6714486251, 1.6388275828),
}


def test_the_widths_of_the_worked_example() -> None:
    good, bad = made(UNIT, GOOD[::-1]), made(UNIT, BAD)
    assert good.centres == pytest.approx([0.3, 0.4, 0.5])
    assert good.widths == pytest.approx([0.25, 0.25, 1])
    assert bad.centres == pytest.approx([0.1, 0.5, 0.6, 0.8, 0.95])
    assert bad.widths == pytest.approx([0.4, 1, 0.2, 0.2, 1 / 6])
    assert made(UNIT, GOOD, "paper").widths == pytest.approx([0.3, 0.6])
    assert made(UNIT, BAD, "paper").widths == pytest.approx([0.5, 0.5, 0.2, 1 / 6])


@pytest.mark.parametrize("x", WORKED)
def test_the_densities_of_the_worked_example(x: float) -> None:
    forms: tuple[Form, Form] = ("hyperopt", "paper")
    found = [math.exp(made(UNIT, values, form).log([x])[0]) for form in forms for values in (GOOD, BAD)]
    assert found == pytest.approx(WORKED[x], abs=2e-10)


def test_ranking_by_the_ratio_is_ranking_by_expected_improvement() -> None:
    good, bad = made(UNIT, GOOD), made(UNIT, BAD)
    ratio = np.exp(good.log(list(WORKED)) - bad.log(list(WORKED)))
    assert np.log(ratio) == pytest.approx([1.0437579173, 0.8660967930, -0.6992033908, -1.6077608165], abs=1e-9)
    improvement = 1 / (1 / 3 + 2 / 3 / ratio)
    assert improvement == pytest.approx([1.7602970194, 1.6293898489, 0.5970983000, 0.2731433670], abs=1e-9)


def test_no_and_one_observation() -> None:
    assert made(UNIT, ()).widths == pytest.approx([1])
    assert made(UNIT, (0.2,)).widths == pytest.approx([0.5, 1])
    assert made(UNIT, (), "paper").log([0.3]) == pytest.approx([0])
    # The same value again and again leaves kernels of the least width.
    assert made(UNIT, (0.2,) * 5).widths == pytest.approx([1 / 7, 1 / 7, 1 / 7, 1 / 7, 0.3, 1])


NUMBERS = [
    UNIT,
    Real("log", 1e-3, 10.0, log=True),
    Normal("normal", 1.0, 2.0),
    Normal("log-normal", 0.0, 1.0, log=True),
    Integer("integer", 1, 6),
    Integer("log integer", 1, 40, log=True),
    Real("steps", 0.0, 2.0, step=0.25),
    Normal("normal steps", 0.0, 4.0, step=1.0),
    Normal("log-normal steps", 1.0, 0.5, log=True, step=1.0),
]


@pytest.mark.parametrize("form", ["hyperopt", "paper", "multivariate"])
@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_it_is_a_density_and_draws_follow_it(number: Integer | Real | Normal, count: int, form: Any) -> None:
    generator = np.random.default_rng(0)
    seen = [number.sample(generator) for _ in range(count)]
    if form == "multivariate":
        product = Multivariate([number], [(value,) for value in seen], 1.0, 25)
        drawn: list[Any] = [product.draw(generator)[0] for _ in range(1500)]
    else:
        kernels = made(number, seen, form)
        drawn = kernels.draw(generator, 1500)

    def densities(values: list[Any]) -> np.ndarray:
        return np.exp([product.log((v,)) for v in values] if form == "multivariate" else kernels.log(values))

    assert all(value in number for value in drawn)
    low, high = number.bounds
    if isinstance(number, Normal):
        low, high = number.mean - 9 * number.sd, number.mean + 9 * number.sd
    grid = np.linspace(low, high, 3001)
    if number.step is not None:
        values = sorted({number.from_scale(x) for x in grid})
        masses = densities(values)
        assert masses.sum() == pytest.approx(1, abs=1e-6)
        for value, mass in zip(values, masses, strict=True):
            assert drawn.count(value) / 1500 == pytest.approx(mass, abs=0.05)
        return
    found = densities([number.from_scale(x) for x in grid])
    assert trapezoid(found, grid) == pytest.approx(1, abs=1e-3)
    for q in (0.25, 0.5, 0.75):
        border = low + q * (high - low)
        below = trapezoid(found[grid <= border], grid[grid <= border])
        assert np.mean([number.scaled(value) < border for value in drawn]) == pytest.approx(below, abs=0.05)


def test_choices() -> None:
    found = density(Categorical("c", ("a", "b", "c")), ["a", "c", "a"], "hyperopt", 1.0, 25)
    assert isinstance(found, Choices)
    assert found.probabilities == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert np.exp(found.log(["c", "a"])) == pytest.approx([1 / 3, 1 / 2])
    assert set(found.draw(np.random.default_rng(0), 50)) == {"a", "b", "c"}
    skewed = density(Categorical("c", ("a", "b"), (0.75, 0.25)), ["b"], "paper", 1.0, None)
    assert np.exp(skewed.log(["a", "b"])) == pytest.approx([1.5 / 3, 1.5 / 3])
    doubled = density(Categorical("c", ("a", "b")), ["b"], "paper", 2.0, None)
    assert np.exp(doubled.log(["a", "b"])) == pytest.approx([2 / 5, 3 / 5])


def test_forgetting_is_linear() -> None:
    assert forget(27, 25) == pytest.approx([1 / 27] + [1.0] * 26)
    assert forget(30, 25)[:5] == pytest.approx(np.linspace(1 / 30, 1, 5))
    assert list(forget(25, 25)) == list(forget(25, None)) == [1.0] * 25
    # By age, not by place: the same old value counts less than the same new one.
    old_first, old_last = (made(UNIT, values, forgetting=1).log([0.1])[0] for values in ((0.1, 0.9), (0.9, 0.1)))
    assert old_first < old_last


TREE: tuple[Decision, ...] = (
    Categorical("kind", ("a", "b")),
    Real("x", 0.0, 1.0, when=When("kind", ("a",))),
    Integer("n", 1, 3),
)


def test_a_product_kernel_is_the_prior_where_a_trial_decided_nothing() -> None:
    trials: list[tuple[Value, ...]] = [("a", 0.2, 2), ("b", None, 3)]
    product = Multivariate(TREE, trials, 1.0, None)
    columns: Any = product._columns
    assert columns[1].each(0.7)[1:] == pytest.approx([1, 1])
    assert columns[1].each(0.2)[0] > 3
    assert columns[2].each(1)[2] == pytest.approx(1 / 3)
    generator = np.random.default_rng(0)
    for _ in range(200):
        kind, x, n = product.draw(generator)
        assert (x is None) == (kind == "b")
        assert n in TREE[2]


@pytest.mark.parametrize(("decisions", "count"), [(1, 32), (2, 64)])
def test_product_kernels_are_narrower_the_more_trials_there_are(decisions: int, count: int) -> None:
    """As n^(-1 / (d + 4)): half as wide, and so twice as high, with 2^(d + 4) of them as with one."""
    numbers = [Real(str(k), 0.0, 1.0) for k in range(decisions)]
    highest = []
    for trials in (1, count):
        columns: Any = Multivariate(numbers, [(0.5,) * decisions] * trials, 1.0, None)._columns
        highest.append(columns[0].each(0.5)[0])
    assert highest[1] == pytest.approx(2 * highest[0])


@pytest.mark.parametrize(("prior_weight", "own"), [(1.0, 5 / 6), (2.0, 3 / 4)])
def test_the_prior_weighs_the_less_in_a_choice_the_more_trials_there_are(prior_weight: float, own: float) -> None:
    """A trial's kernel has 1 + w / (n + 1) for what it chose and w / (n + 1) for the other choice; here n = 3."""
    columns: Any = Multivariate(TREE[:1], [("a",), ("b",), ("a",)], prior_weight, None)._columns
    assert columns[0].each("a") == pytest.approx([own, 1 - own, own, 1 / 2])


def test_a_product_kernel_sums_to_one_over_a_tree() -> None:
    product = Multivariate(TREE, [("a", 0.2, 2), ("b", None, 3), ("a", 0.9, 1)], 1.0, None)
    grid = np.linspace(0, 1, 1001)
    total = sum(np.exp(product.log(("b", None, n))) for n in (1, 2, 3))
    total += sum(trapezoid([np.exp(product.log(("a", float(x), n))) for x in grid], grid) for n in (1, 2, 3))
    assert total == pytest.approx(1, abs=1e-4)
