"""Scores from a space that is a function."""

from __future__ import annotations

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.spaces.base import Space
from nas_cli.spaces.functions import FunctionSpace


class Function(Estimator):
    """The space's own objective, exactly.

    Raises `CombinationError` where the space is no function.
    """

    score_name = "value"

    def __init__(self, space: Space) -> None:
        if not isinstance(space, FunctionSpace):
            raise CombinationError(
                f"space={space.name} with estimator=function: is no function; take estimator=train and a data set"
            )
        self.space = space

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        return Measurement(self.space.value(architecture))
