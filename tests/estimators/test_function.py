"""The estimator that asks the space itself."""

from __future__ import annotations

import math

import pytest

from nas_cli.errors import CombinationError
from nas_cli.estimators.function import Function
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import NasBench201


def test_the_score_is_the_spaces_own_value() -> None:
    space = Branin("branin")
    found = Function(space).measure(space.decode((math.pi, 2.275)))
    assert found.score == pytest.approx(-10 / (8 * math.pi))
    assert found.cost_seconds == 0.0


def test_a_space_that_is_no_function_is_refused() -> None:
    with pytest.raises(CombinationError, match="space=nasbench201 with estimator=function"):
        Function(NasBench201("nasbench201"))
