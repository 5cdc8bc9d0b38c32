"""Random search: uniform, and its sequence does not depend on how many workers ask."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nas_cli.errors import InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Decision, Real, When
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import OPERATIONS, NasBench201
from nas_cli.strategies.black_box.random import Random

SPACE = NasBench201("nasbench201")


def test_draws_are_uniform_in_every_decision() -> None:
    asked = Random(SPACE, seed=0).ask(3000, [])
    for edge in range(6):
        counts = Counter(candidate.architecture.decisions[edge] for candidate in asked)
        # Chi-squared with 4 degrees of freedom: below 18.5 with probability 0.999.
        assert sum((counts[name] - 600) ** 2 / 600 for name in OPERATIONS) < 18.5


def test_one_by_one_or_many_at_once_is_the_same_sequence() -> None:
    together = Random(SPACE, seed=3).ask(7, [])
    strategy = Random(SPACE, seed=3)
    apart = [*strategy.ask(1, []), *strategy.ask(4, together[:1]), *strategy.ask(2, [])]
    assert apart == list(together)
    assert len({candidate.architecture for candidate in together}) == 7


def test_seeds_differ() -> None:
    assert Random(SPACE, seed=0).ask(5, []) != Random(SPACE, seed=1).ask(5, [])
    assert Random(Branin("branin"), seed=0).ask(1, []) != Random(Branin("branin"), seed=1).ask(1, [])


@pytest.mark.parametrize("evaluations", [0, -1])
def test_evaluations_range(evaluations: int) -> None:
    with pytest.raises(InputError, match="evaluations must be at least 1"):
        Random(SPACE, seed=0, evaluations=evaluations)


def test_under_conditions_each_branch_is_drawn_from_its_own_prior() -> None:
    class Tree(Space):
        decisions: tuple[Decision, ...] = (
            Categorical("on", (True, False), (0.25, 0.75)),
            Real("size", 0.0, 1.0, when=When("on", (True,))),
        )

    drawn = [candidate.architecture.decisions for candidate in Random(Tree("tree"), seed=0).ask(2000, [])]
    sizes = [size for on, size in drawn if on and isinstance(size, float)]
    assert len(sizes) / 2000 == pytest.approx(0.25, abs=0.04)
    assert all(size is None for on, size in drawn if not on)
    assert np.quantile(sizes, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.07)
