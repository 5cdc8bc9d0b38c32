"""The estimator that asks the space itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.function import Function
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import NasBench201

SPACE = Branin("branin")


def test_the_score_is_the_spaces_own_value() -> None:
    found = Function(SPACE).measure(SPACE.decode((math.pi, 2.275)))
    assert found.score == pytest.approx(-10 / (8 * math.pi))
    assert found.metrics == {"regret": pytest.approx(0, abs=1e-12)}
    assert found.cost_seconds == 0.0
    assert Function(SPACE).measure(SPACE.decode((0.0, 0.0))).metrics["regret"] == pytest.approx(
        55.602112642 - 0.397887358
    )


def test_noise_is_normal_and_regret_is_without_it() -> None:
    generator = np.random.default_rng(0)
    estimator, drawn = Function(SPACE, seed=1, noise=2.0), [SPACE.sample(generator) for _ in range(1000)]
    found = [estimator.measure(architecture) for architecture in drawn]
    errors = [one.score - one.metrics["true_value"] for one in found]
    assert np.mean(errors) == pytest.approx(0, abs=0.2)
    assert np.std(errors) == pytest.approx(2, rel=0.1)
    for one, architecture in zip(found, drawn, strict=True):
        assert one.metrics["true_value"] == SPACE.value(architecture)
        assert one.metrics["regret"] == SPACE.optimum - SPACE.value(architecture)


def test_noise_depends_on_seed_and_point_only() -> None:
    point, other = SPACE.decode((1.0, 2.0)), SPACE.decode((1.0, 2.5))
    estimator = Function(SPACE, seed=1, noise=1.0)
    first = estimator.measure(point)
    estimator.measure(other)
    assert estimator.measure(point) == first == Function(SPACE, seed=1, noise=1.0).measure(point)
    assert Function(SPACE, seed=2, noise=1.0).measure(point) != first


def test_a_space_that_is_no_function_is_refused() -> None:
    with pytest.raises(CombinationError, match="space=nasbench201 with estimator=function"):
        Function(NasBench201("nasbench201"))


def test_noise_range() -> None:
    with pytest.raises(InputError, match="noise must be at least 0, not -1"):
        Function(SPACE, noise=-1.0)
