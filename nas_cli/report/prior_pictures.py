"""Functions drawn from the prior of a run's Gaussian process: what its kernel takes to be likely before any data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas_cli.report.chart import Chart, Line
from nas_cli.report.heat_maps import Map
from nas_cli.report.posterior import axes_of, grid_of, is_drawn
from nas_cli.report.posterior_pictures import Picture
from nas_cli.report.rebuild import rebuild
from nas_cli.report.runs import Run

if TYPE_CHECKING:
    from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

LENGTHS = (0.1, 0.3, 1.0)  # of the axis
LONG = 10.0  # a length scale, with which a function hardly depends on a decision
DRAWS = 3
JITTER = 1e-8  # of the covariance of many near points, which is singular but for rounding


def prior_pictures(run: Run) -> list[list[Picture]]:
    """For each length scale what stands below each other; empty where the functions are not of one or two reals.

    Of two numbers, the last is with a long length scale of the second, where the kernel has one for each.

    Raises `InputError` where the run's configuration is refused.
    """
    strategy = rebuild(run)
    scales = strategy.covariance.scales
    if not is_drawn(strategy) or scales.log_bounds is not None or not scales.count:
        return []
    axes = axes_of(strategy)
    if len(axes) == 1:
        return [[_chart(strategy, length)] for length in LENGTHS]
    vectors = [[length] * scales.count for length in LENGTHS]
    if scales.count == len(axes):
        vectors.append([LENGTHS[1], LONG])
    return [[_map(strategy, vector)] for vector in vectors]


def draws(strategy: BayesianOptimisation, lengths: Sequence[float], count: int) -> list[list[float]]:
    """Functions on the grid, with mean 0 and amplitude 1; the same random numbers for all length scales.

    Args:
        lengths: one for each length scale of the kernel, in shares of the axes.
    """
    import torch

    from nas_cli.seeding import numpy_generator
    from nas_cli.strategies.black_box.bo.gaussian_process import Vectors, cholesky, dense

    covariance, rows = strategy.covariance, grid_of(strategy)
    vector = [0.0, *[1.0] * len(covariance.amplitudes), 1.0, *lengths]
    kernel = Vectors(covariance, torch.tensor([vector], dtype=torch.float64)).kernel()
    with torch.no_grad():
        matrix = dense(kernel.forward(rows, rows))[0]
        root = cholesky(matrix + JITTER * torch.eye(len(rows), dtype=torch.float64))
        normal = torch.from_numpy(numpy_generator(strategy.seed, "prior draws").standard_normal((len(rows), count)))
        found: list[list[float]] = (root @ normal).T.tolist()
    return found


def _chart(strategy: BayesianOptimisation, length: float) -> Chart:
    (axis,), rows = axes_of(strategy), grid_of(strategy)[:, 0].tolist()
    xs = [axis.low + share * (axis.high - axis.low) for share in rows]
    lines = [
        Line(f"draw {number}", list(zip(xs, values, strict=True)), number - 1)
        for number, values in enumerate(draws(strategy, [length], DRAWS), start=1)
    ]
    return Chart(f"Length scale {length:g} of the axis", axis.name, "value, amplitude 1", lines)


def _map(strategy: BayesianOptimisation, lengths: Sequence[float]) -> Map:
    (values,) = draws(strategy, lengths, 1)
    x, y = ((axis.name, axis.low, axis.high) for axis in axes_of(strategy))
    side = round(len(values) ** 0.5)
    rows = [[values[column * side + row] for column in range(side)] for row in range(side)]
    is_long = lengths[-1] == LONG
    note = f"Automatic relevance determination: along {y[0]} the function hardly changes." if is_long else ""
    told = " and ".join(f"{length:g}" for length in dict.fromkeys(lengths))
    return Map(f"Length scale {told} of the axes", x, y, rows, note=note)
