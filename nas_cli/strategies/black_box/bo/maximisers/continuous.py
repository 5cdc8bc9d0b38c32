"""Maximisers over boxes with real decisions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from scipy.optimize import direct
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, require
from nas_cli.seeding import derive, numpy_generator, seeded
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition
from nas_cli.strategies.black_box.bo.initial import sobol
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.maximisers.base import (
    Hunt,
    Maximiser,
    ranked,
    require_box,
    require_whole_draw,
)

WIDEST_DIRECT = 20  # dimensions; DIRECT's rectangles multiply with each
BEST_TRIALS = 5  # that local searches also start at
AROUND = 20  # perturbed copies of each of them among the raw points
#: Turns of discrete and continuous search: BoTorch's 64 took minutes on 32 decisions (dbn) and found the same.
ALTERNATIONS = 8
SPREADS = (1e-1, 1e-2, 1e-3)  # standard deviations of the perturbations, in turn


class Multistart(Maximiser):
    """L-BFGS-B from the best of many quasi-random points, and from the best trials or beside them.

    Args:
        raw: quasi-random points.
        restarts: local searches, the smaller half of them at or beside the best trials.
    """

    def __init__(self, raw: int = 2048, restarts: int = 10) -> None:
        require(raw >= 1, f"raw must be at least 1, not {raw}")
        require(restarts >= 1, f"restarts must be at least 1, not {restarts}")
        self.raw = raw
        self.restarts = restarts

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        box = require_box("multistart", space, covariance)
        if box.categorical:
            name = space.decisions[box.categorical[0]].name
            raise CombinationError(
                f"strategy/maximiser=multistart: {name} of space={space.name} is categorical; take mixed or candidates"
            )
        require_whole_draw("multistart", covariance, acquisition)
        return self

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        box = hunt.box
        trials = box.rows(hunt.ranked[:BEST_TRIALS])
        generator = numpy_generator(hunt.seed, "around")
        copies = trials.repeat(AROUND, 1)
        spread = torch.tensor(SPREADS, dtype=torch.float64).repeat(len(copies))[: len(copies), None]
        near = copies + spread * torch.from_numpy(generator.standard_normal(copies.shape))
        near = torch.cat([trials, near.clamp(0, 1)])
        far = box.stretched(sobol(self.raw, box.columns, derive(hunt.seed, "raw")))
        # Both get their share of the searches: unrefined, points beside the best trial nearly always look best.
        near_values, far_values = hunt.values(near), hunt.values(far)
        count = self.restarts // 2
        starts = torch.cat([ranked(far, far_values)[: self.restarts - count], ranked(near, near_values)[:count]])
        found, heights = hunt.refined(starts)
        rows = ranked(torch.cat([found, far, near]), torch.cat([heights, far_values, near_values]))
        return map(box.architecture, box.canonical(rows))


class SobolLocal(Maximiser):
    """Spearmint's: a fixed grid, points beside the best trial, and local searches of the reals from the best of them.

    Args:
        grid: points of a Sobol sequence. Spearmint: 20,000.
        near: points beside the best trial. Spearmint: 10.
        spread: their standard deviation in the unit cube. Spearmint: 0.001.
        starts: local searches. Spearmint: 20.
    Reference: Snoek, Larochelle, Adams, NIPS 2012, the released program.
    """

    def __init__(self, grid: int = 20_000, near: int = 10, spread: float = 1e-3, starts: int = 20) -> None:
        require(grid >= 1, f"grid must be at least 1, not {grid}")
        require(near >= 0, f"near must not be negative, not {near}")
        require(0 < spread < math.inf, f"spread must be above 0 and finite, not {spread}")
        require(starts >= 1, f"starts must be at least 1, not {starts}")
        self.grid = grid
        self.near = near
        self.spread = spread
        self.starts = starts

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        require_box("sobol_local", space, covariance)
        require_whole_draw("sobol_local", covariance, acquisition)
        return self

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        box = hunt.box
        copies = box.rows(hunt.ranked[:1]).repeat(self.near, 1)
        generator = numpy_generator(hunt.seed, "near")
        noise = torch.from_numpy(generator.normal(scale=self.spread, size=copies.shape))
        copies[:, box.reals] = (copies + noise)[:, box.reals].clamp(0, 1)
        raw = torch.cat([box.stretched(sobol(self.grid, box.columns, None)), copies])
        values = hunt.values(raw)
        starts = ranked(raw, values)[: self.starts]
        if box.reals:
            only = OnlySome(hunt.acquisition, box.reals)
            found, heights = Hunt(only, hunt.space, box, hunt.ranked, hunt.is_known, hunt.seed).refined(starts)
            raw, values = torch.cat([found, raw]), torch.cat([heights, values])
        return map(box.architecture, box.canonical(ranked(raw, values)))


class OnlySome(AcquisitionFunction):  # type: ignore[misc]
    """An acquisition that has a gradient by some columns only, so that a local search leaves the others alone."""

    def __init__(self, acquisition: AcquisitionFunction, columns: list[int]) -> None:
        super().__init__(model=acquisition.model)
        self.acquisition = acquisition
        self.columns = columns

    def forward(self, X: Tensor) -> Tensor:  # noqa: N803  (BoTorch's name)
        fixed = X.detach().clone()
        fixed[..., self.columns] = X[..., self.columns]
        value: Tensor = self.acquisition(fixed)
        return value


class Direct(Maximiser):
    """DIRECT: the box is divided into ever smaller rectangles, the promising ones first.

    Args:
        evaluations: of the acquisition, about; ours, between 500 and 2,000.
        locally_biased: whether only one rectangle of each size is divided (DIRECT_L).
    Reference: Jones, Perttunen, Stuckman, Lipschitzian optimization without the Lipschitz constant, JOTA 79, 1993.
    """

    def __init__(self, evaluations: int = 1000, locally_biased: bool = False) -> None:
        require(evaluations >= 1, f"evaluations must be at least 1, not {evaluations}")
        self.evaluations = evaluations
        self.locally_biased = locally_biased

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        box = require_box("direct", space, covariance)
        if not box.is_real:
            other = min(box.integers + box.categorical)
            raise CombinationError(
                f"strategy/maximiser=direct: {space.decisions[other].name} of space={space.name} is not a "
                "real number; take mixed"
            )
        if box.columns > WIDEST_DIRECT:
            raise CombinationError(
                f"strategy/maximiser=direct: space={space.name} has {box.columns} decisions, and it takes at most "
                f"{WIDEST_DIRECT}; take multistart"
            )
        require_whole_draw("direct", covariance, acquisition)
        return self

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        seen: list[np.ndarray[Any, Any]] = []
        heights: list[float] = []

        def negative(point: np.ndarray[Any, Any]) -> float:
            seen.append(point.copy())
            heights.append(hunt.values(torch.from_numpy(point).unsqueeze(0)).item())
            return -heights[-1]

        box = hunt.box
        bounds = [(0.0, 1.0)] * box.columns
        direct(negative, bounds, maxfun=self.evaluations, locally_biased=self.locally_biased)
        rows = ranked(torch.from_numpy(np.array(seen)), torch.tensor(heights, dtype=torch.float64))
        return map(box.architecture, rows)


class Mixed(Maximiser):
    """BoTorch's alternation of discrete local search and L-BFGS-B of the reals, from several starts.

    Args:
        raw: points that the starts are taken from.
        restarts: starts.
    """

    def __init__(self, raw: int = 1024, restarts: int = 10) -> None:
        require(raw >= 1, f"raw must be at least 1, not {raw}")
        require(restarts >= 1, f"restarts must be at least 1, not {restarts}")
        self.raw = raw
        self.restarts = restarts

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        require_box("mixed", space, covariance)
        require_whole_draw("mixed", covariance, acquisition)
        return self

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        box = hunt.box
        low = torch.zeros_like(box.upper)
        high = box.last.clone()
        for column in box.integers:
            low[column], high[column] = box.levels[column][0], box.levels[column][-1]
        # Line searches that end for rounding; see `Hunt.refined`.
        with seeded(hunt.seed, "mixed"), warnings.catch_warnings(record=True):
            found, _ = optimize_acqf_mixed_alternating(
                hunt.objective,
                torch.stack([low, high]),
                discrete_dims={column: box.levels[column].tolist() for column in box.integers},
                cat_dims={column: box.levels[column][: int(high[column]) + 1].tolist() for column in box.categorical},
                raw_samples=self.raw,
                num_restarts=self.restarts,
                options={"maxiter_alternating": ALTERNATIONS},
            )
        yield from map(box.architecture, box.canonical(found))
        # Where that is a point that was judged already, the best of many others is next.
        others = box.stretched(sobol(self.raw, box.columns, derive(hunt.seed, "others")))
        yield from map(box.architecture, ranked(others, hunt.values(others)))
