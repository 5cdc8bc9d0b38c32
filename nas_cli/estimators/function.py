"""Scores from a space that is a function."""

from __future__ import annotations

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.functions import FunctionSpace


class Function(Estimator):
    """The space's own objective, exactly or with noise.

    The metric `regret` is how far the value without noise is below the optimum; `true_value` is that value, where there
    is noise. The noise of a run is a function of the point, so that a resumed run sees what it saw before: a point that
    is measured twice gets the same noise twice, and averaging does not help.

    Args:
        noise: standard deviation of the normal noise that is added to the value.

    Raises `CombinationError` where the space is no function.
    """

    score_name = "value"

    def __init__(self, space: Space, seed: int = 0, noise: float = 0.0) -> None:
        if not isinstance(space, FunctionSpace):
            raise CombinationError(
                f"space={space.name} with estimator=function: is no function; take estimator=train and a data set"
            )
        require(noise >= 0, f"noise must be at least 0, not {noise}")
        self.space = space
        self.seed = seed
        self.noise = noise
        self.is_exact = noise == 0

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        value = self.space.value(architecture)
        regret = self.space.optimum - value
        if self.noise == 0:
            return Measurement(value, {"regret": regret})
        error = self.noise * float(numpy_generator(self.seed, "noise", str(architecture)).standard_normal())
        return Measurement(value + error, {"regret": regret, "true_value": value})
