"""Maximisers over architectures one by one, and what `auto` takes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
import torch
from botorch.acquisition import AcquisitionFunction
from gp_table import Made, line, mixed_space

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Integer, When
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition, ExpectedImproving
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.kernels.discrete import Categorical as CategoricalKernel
from nas_cli.strategies.black_box.bo.kernels.discrete import Mixed as MixedKernel
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.maximisers.auto import Auto
from nas_cli.strategies.black_box.bo.maximisers.base import Hunt, Maximiser
from nas_cli.strategies.black_box.bo.maximisers.continuous import Mixed, Multistart
from nas_cli.strategies.black_box.bo.maximisers.discrete import Candidates, Enumerate, every, mutate
from nas_cli.strategies.black_box.bo.thompson import Thompson

GRID = Made(Integer("a", 1, 5), Categorical("b", ("x", "y", "z")), name="grid")
TREE = Made(Categorical("kind", ("plain", "deep")), Integer("depth", 1, 3, when=When("kind", ("deep",))), name="tree")


class Sum(AcquisitionFunction):  # type: ignore[misc]
    """The sum of a row."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.model = None

    def forward(self, X: torch.Tensor) -> torch.Tensor:  # noqa: N803
        return X.squeeze(-2).sum(-1)


def hunt(space: Space, ranked: list[Architecture], known: Collection[Architecture] = ()) -> Hunt:
    return Hunt(Sum(), space, Box(space), ranked, lambda architecture: architecture in known, seed=0)


def test_all_architectures_in_order_of_value_but_those_known() -> None:
    best = GRID.decode([5, "z"])
    found = list(Enumerate().best(hunt(GRID, [], [best])))
    assert len(found) == 14
    assert best not in found
    assert found[0] == GRID.decode([4, "z"])
    assert len(set(found)) == 14


def test_an_inactive_decision_makes_no_architectures_of_its_own() -> None:
    assert [each.decisions for each in every(TREE)] == [("plain", None), ("deep", 1), ("deep", 2), ("deep", 3)]


def test_a_pool_is_new_and_half_of_it_mutated() -> None:
    space = Made(*(Categorical(str(k), tuple(range(9))) for k in range(6)), name="wide")
    parent = space.decode([0] * 6)
    found = list(Candidates(pool=60, mutation=1e-9).best(hunt(space, [parent], [parent])))
    assert len(found) == len(set(found)) == 60
    assert parent not in found
    near = [each for each in found if sum(value != 0 for value in each.decisions) == 1]
    assert len(near) == 30


WIDE = Made(*(Categorical(str(k), tuple(range(5))) for k in range(20)), name="wide")


def test_only_the_best_trials_are_mutated() -> None:
    ranked = [WIDE.decode([k] * 20) for k in range(5)]
    found = Candidates(pool=40, mutated=1, parents=2, mutation=1e-9).best(hunt(WIDE, ranked, ranked))
    most = [max(set(each.decisions), key=each.decisions.count) for each in found]
    assert (most.count(0), most.count(1)) == (20, 20)


def test_a_mutation_is_a_change_to_another_value() -> None:
    """NAS-BOWL flips every operation with p = .2: that many are other ones, not four fifths of it."""
    parent = WIDE.decode([0] * 20)
    generator = np.random.default_rng(0)
    assert all(0 not in mutate(WIDE, parent, 1.0, generator).decisions for _ in range(20))
    assert {mutate(WIDE, parent, 1e-9, generator).decisions.count(0) for _ in range(50)} == {19}
    found = [mutate(WIDE, parent, 0.2, generator).decisions for _ in range(1000)]
    assert np.mean([20 - each.count(0) for each in found]) == pytest.approx(0.2 * 20, abs=0.2)
    assert {value for each in found for value in each} == set(range(5))
    one = Made(Categorical("only", ("a",)), Categorical("other", ("b", "c")), name="one")
    assert mutate(one, one.decode(["a", "b"]), 1.0, generator) == one.decode(["a", "c"])


def test_a_pool_of_an_exhausted_space_is_what_is_left() -> None:
    whole = list(every(GRID))
    left = Candidates(pool=10).best(hunt(GRID, whole[:14], whole[:14]))
    assert list(left) == [whole[14]]
    assert list(Candidates(pool=10).best(hunt(GRID, whole, whole))) == []


def test_a_mutation_draws_what_becomes_active() -> None:
    generator = np.random.default_rng(0)
    plain = TREE.decode(["plain", None])
    found = {mutate(TREE, plain, 1.0, generator) for _ in range(60)}
    assert found == set(every(TREE)) - {plain}
    assert all(mutate(GRID, GRID.decode([1, "x"]), 1e-9, generator).decisions[0] is not None for _ in range(5))


@pytest.mark.parametrize(
    ("space", "acquisition", "message"),
    [
        (line(), ExpectedImproving(), "space=line has a number without steps"),
        (Made(Integer("i", 1, 2_000_000), name="many"), ExpectedImproving(), "2000000 architectures"),
        (Made(Integer("i", 1, 3_000), name="many"), Thompson(), "at most 2000 with thompson"),
    ],
)
def test_enumerate_refuses(space: Space, acquisition: Acquisition, message: str) -> None:
    covariance = MixedKernel().on(space)
    with pytest.raises(CombinationError, match=message):
        Enumerate().for_(space, covariance, acquisition)


@pytest.mark.parametrize(
    ("space", "kernel", "acquisition", "chosen"),
    [
        (line(), Stationary(), ExpectedImproving(), Multistart),
        (line(), Stationary(), Thompson(), Multistart),
        (mixed_space(), MixedKernel(), ExpectedImproving(), Mixed),
        (mixed_space(), MixedKernel(), Thompson(), Candidates),
        (mixed_space(), Stationary(), Thompson(), Candidates),
        (GRID, CategoricalKernel(), ExpectedImproving(), Enumerate),
        (Made(Integer("i", 1, 30_000), name="many"), MixedKernel(), ExpectedImproving(), Candidates),
    ],
)
def test_auto(
    space: Space,
    kernel: Stationary | MixedKernel | CategoricalKernel,
    acquisition: Acquisition,
    chosen: type[Maximiser],
) -> None:
    assert type(Auto().for_(space, kernel.on(space), acquisition)) is chosen


@pytest.mark.parametrize("options", [{"pool": 0}, {"mutated": 1.5}, {"parents": 0}, {"mutation": 0.0}])
def test_ranges(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Candidates(**options)  # type: ignore[arg-type]
