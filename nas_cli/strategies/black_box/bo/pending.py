"""What is assumed of points that were asked for and whose results are not known yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from nas_cli.errors import CombinationError, require
from nas_cli.seeding import numpy_generator
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition
from nas_cli.strategies.black_box.bo.gaussian_process import GaussianProcess, cholesky


class Pending(ABC):
    """A treatment of pending points as an option: `strategy/pending=…`."""

    #: Whether the acquisition judges the pending points together with the new one.
    is_joint = False

    def for_(self, acquisition: Acquisition, per_cost: bool) -> Pending:
        """The treatment that is meant. Raises `CombinationError` where it does not go with the acquisition.

        Args:
            per_cost: whether the acquisition is had per unit of cost.
        """
        return self

    @abstractmethod
    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        """The posterior that takes note of pending rows (pending, columns), at least one."""


class Ignore(Pending):
    """Nothing: a point may be asked for that is near a pending one."""

    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        return model


class Fantasies(Pending):
    """The acquisition is averaged over results that the posterior could give the pending points.

    The results are drawn without noise and conditioned on with noise, as in Spearmint.

    Args:
        fantasies: how many draws. Spearmint: 100.
    Reference: Snoek, Larochelle, Adams, NIPS 2012, sec. 3.4, eq. 7, and the released program.
    """

    def __init__(self, fantasies: int = 100) -> None:
        require(fantasies >= 1, f"fantasies must be at least 1, not {fantasies}")
        self.fantasies = fantasies

    def for_(self, acquisition: Acquisition, per_cost: bool) -> Pending:
        if not acquisition.fantasises:
            raise CombinationError(
                f"strategy/pending=fantasies with strategy/acquisition={acquisition.option}: it is no average over "
                "results; take auto"
            )
        return self

    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        mean, covariance = model.joint(rows.unsqueeze(0))
        # The same normal numbers for every vector of hyper-parameters.
        normal = numpy_generator(seed, "fantasies").standard_normal((len(rows), self.fantasies))
        return model.condition(rows, mean + cholesky(covariance) @ torch.from_numpy(normal))


class Joint(Pending):
    """The expected improvement of the pending points and the new one together."""

    is_joint = True

    def for_(self, acquisition: Acquisition, per_cost: bool) -> Pending:
        if not acquisition.judges_jointly:
            raise CombinationError(
                f"strategy/pending=joint with strategy/acquisition={acquisition.option}: takes ei, log_ei or noisy_ei; "
                "take auto"
            )
        if per_cost:
            raise CombinationError(
                "strategy/pending=joint with strategy/cost=per_second: the improvement of the pending points is in it, "
                "which is not to be divided by the new one's cost; take fantasies or constant_liar"
            )
        return self

    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        return model


class ConstantLiar(Pending):
    """The pending points are taken to have had one value.

    Args:
        lie: the mean, lowest or highest of the observed scores; failed trials have the lowest.
    Reference: Ginsbourger, Le Riche, Carraro, Kriging is well-suited to parallelize optimization, 2010.
    """

    def __init__(self, lie: Literal["mean", "min", "max"] = "mean") -> None:
        self.lie = lie

    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        observed = model.targets
        lie = {"mean": observed.mean(1), "min": observed.amin(1), "max": observed.amax(1)}[self.lie]
        return model.condition(rows, lie.unsqueeze(1).expand(-1, len(rows), -1))


class Auto(Pending):
    """Fantasies where the acquisition is an average over results, else what suits it."""

    def for_(self, acquisition: Acquisition, per_cost: bool) -> Pending:
        if acquisition.draws_function:
            return Ignore()  # every draw is another one
        if acquisition.fantasises:
            return Fantasies()
        return Joint() if acquisition.judges_jointly and not per_cost else ConstantLiar()

    def condition(self, model: GaussianProcess, rows: Tensor, seed: int) -> GaussianProcess:
        raise NotImplementedError("it stands for another treatment")
