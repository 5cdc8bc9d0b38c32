"""What maximises an acquisition, and what all of them share."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.generation.gen import gen_candidates_scipy
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition, OfArchitectures
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Inputs
from nas_cli.strategies.black_box.bo.kernels.box import Box

CHUNK = 4096  # points whose acquisition is computed at once: bounds the memory


@dataclass(frozen=True)
class Hunt:
    """One acquisition to be maximised.

    Args:
        acquisition: X (points, 1, columns) -> (points,).
        space: of the architectures.
        inputs: from architectures to rows.
        ranked: architectures that have a score, the best first.
        is_known: whether an architecture was asked for before.
        seed: of all that is random.
    """

    acquisition: AcquisitionFunction
    space: Space
    inputs: Inputs
    ranked: Sequence[Architecture]
    is_known: Callable[[Architecture], bool]
    seed: int

    @property
    def box(self) -> Box:
        """The inputs, which `check` has found to be a box."""
        assert isinstance(self.inputs, Box)
        return self.inputs

    @cached_property
    def objective(self) -> AcquisitionFunction:
        """What is maximised: the acquisition of the architecture that a row stands for."""
        is_conditional = isinstance(self.inputs, Box) and bool(self.inputs.conditions)
        return OfArchitectures(self.acquisition, self.box) if is_conditional else self.acquisition

    def values(self, rows: Tensor) -> Tensor:
        """The acquisition at rows (points, columns)."""
        with torch.no_grad():
            return torch.cat([self.objective(chunk.unsqueeze(-2)) for chunk in torch.split(rows, CHUNK)])

    def refined(self, starts: Tensor, iterations: int = 200) -> tuple[Tensor, Tensor]:
        """Local maxima that L-BFGS-B climbs to in the box from rows (starts, columns), and their values."""
        # A line search that finds no better point, where the acquisition is flat but for rounding, ends there; BoTorch
        # warns of it in spite of filters.
        with warnings.catch_warnings(record=True):
            found, values = gen_candidates_scipy(
                starts.unsqueeze(-2),
                self.objective,
                torch.zeros_like(self.box.upper),
                self.box.upper,
                options={"maxiter": iterations},
            )
        return found.squeeze(-2), values


class Maximiser(ABC):
    """A maximiser as an option: `strategy/maximiser=…`."""

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        """The maximiser that is meant. Raises `CombinationError` where it does not go with the other parts."""
        return self

    @abstractmethod
    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        """Architectures with high values, the highest first; the first that is new will be asked for."""


def require_box(option: str, space: Space, covariance: Covariance) -> Box:
    """The box that a kernel sees. Raises `CombinationError` where it sees something else."""
    if not isinstance(covariance.inputs, Box):
        raise CombinationError(
            f"strategy/maximiser={option}: the kernel compares whole architectures of space={space.name}; take "
            "candidates or enumerate"
        )
    return covariance.inputs


def require_whole_draw(option: str, covariance: Covariance, acquisition: Acquisition) -> None:
    """Raise `CombinationError` where the acquisition is a draw at given points, which has no gradient."""
    if acquisition.draws_function and not covariance.pathwise:
        raise CombinationError(
            f"strategy/maximiser={option} with strategy/acquisition=thompson: only with an SE or Matérn kernel of "
            "numbers is a draw a function; take candidates"
        )


def ranked(rows: Tensor, values: Tensor) -> Tensor:
    """Rows by falling values; of equal ones the first stays first."""
    return rows[values.argsort(descending=True, stable=True)]
