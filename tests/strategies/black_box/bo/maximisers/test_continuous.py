"""Maximisers over boxes: they agree with each other and with a grid, and refuse what they cannot search."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from botorch.acquisition import AcquisitionFunction
from botorch.utils.transforms import t_batch_mode_transform
from gp_table import M52, Made, line, mixed_space, process, situation, tensor

from nas_cli.architecture import Architecture
from nas_cli.errors import CombinationError, InputError
from nas_cli.spaces.base import Space
from nas_cli.spaces.decisions import Categorical, Integer, Real, When
from nas_cli.spaces.functions import Branin
from nas_cli.strategies.black_box.bo.acquisitions import ExpectedImproving, LogExpectedImproving
from nas_cli.strategies.black_box.bo.kernels.base import Kernel
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.kernels.discrete import Mixed as MixedKernel
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.maximisers.base import Hunt, Maximiser
from nas_cli.strategies.black_box.bo.maximisers.continuous import Direct, Mixed, Multistart, SobolLocal
from nas_cli.strategies.black_box.bo.thompson import Thompson


class Made2D(AcquisitionFunction):  # type: ignore[misc]
    """A function of rows in place of an acquisition."""

    def __init__(self, function: Any) -> None:
        torch.nn.Module.__init__(self)
        self.model = None
        self.function = function

    @t_batch_mode_transform(assert_output_shape=False)  # type: ignore[untyped-decorator]
    def forward(self, X: torch.Tensor) -> torch.Tensor:  # noqa: N803
        value: torch.Tensor = self.function(X.squeeze(-2))
        return value


def hunt(space: Space, acquisition: AcquisitionFunction, ranked: tuple[Architecture, ...] = ()) -> Hunt:
    known = ranked or (space.decode([0.5 if isinstance(d, Real) else 1 for d in space.decisions]),)
    return Hunt(acquisition, space, Box(space), known, lambda architecture: False, seed=0)


def first(maximiser: Maximiser, over: Hunt) -> Architecture:
    return next(iter(maximiser.best(over)))


def test_direct_on_branin() -> None:
    """Section 8: within 500 evaluations, and those of a whole iteration, it comes to .397887739."""
    space = Branin("branin")

    def value(rows: torch.Tensor) -> torch.Tensor:
        x = rows * 15 - tensor(5, 0)
        bowl = (x[:, 1] - 5.1 * x[:, 0] ** 2 / (4 * math.pi**2) + 5 * x[:, 0] / math.pi - 6) ** 2
        return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * torch.cos(x[:, 0]) + 10)

    best = first(Direct(evaluations=500), hunt(space, Made2D(value)))
    assert space.value(best) == pytest.approx(-0.397887739, abs=2e-8)


def test_all_find_the_maximum_of_an_acquisition() -> None:
    space = line()
    model = process(M52, (0.0, 1.0, 0.01, 0.2))
    for acquisition in (ExpectedImproving(), LogExpectedImproving()):
        made = acquisition.make(situation(model))
        grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)
        highest = made(grid[:, None, None]).max().item()
        for maximiser in (Multistart(raw=64, restarts=3), Direct(), SobolLocal(grid=200, starts=3)):
            best = first(maximiser, hunt(space, made))
            value = made(Box(space).rows([best]).unsqueeze(-2)).item()
            assert value >= highest - 1e-6 * abs(highest), type(maximiser)


@pytest.mark.parametrize("maximiser", [Mixed(raw=64, restarts=3), SobolLocal(grid=2000, starts=3)])
def test_a_mixed_space(maximiser: Maximiser) -> None:
    """The best of (r, i, c) is (.3, 3, b), and the values beside it are no better."""
    space = mixed_space()

    def value(rows: torch.Tensor) -> torch.Tensor:
        return -((rows[:, 0] - 0.3) ** 2) - (rows[:, 1] - 0.6) ** 2 - (rows[:, 2] != 1).to(rows)

    start = space.decode([0.9, 1, "c"])
    best = first(maximiser, hunt(space, Made2D(value), (start,)))
    assert best.decisions[0] == pytest.approx(0.3, abs=1e-3)
    assert best.decisions[1:] == (3, "b")


BRANCHES = Made(
    Integer("branch", 1, 2),
    Real("x", 0.0, 1.0),
    Real("y", 0.0, 1.0, when=When("branch", (2,))),
    name="branches",
)
KINDS = Made(
    Categorical("kind", ("plain", "deep")),
    Real("x", 0.0, 1.0),
    Real("y", 0.0, 1.0, when=When("kind", ("deep",))),
    Categorical("mode", ("u", "v"), when=When("kind", ("deep",))),
    name="kinds",
)


@pytest.mark.parametrize(
    ("maximiser", "space"),
    [
        (Multistart(raw=64, restarts=4), BRANCHES),
        (SobolLocal(grid=64, starts=4), KINDS),
        (Mixed(raw=64, restarts=2), KINDS),
    ],
)
def test_where_a_decision_is_inactive_its_column_promises_nothing(maximiser: Maximiser, space: Space) -> None:
    """A row with y = .9 looks best where there is no y: the architecture, which has .5 there, is among the worst."""
    last = space.decisions[0].values()[-1]  # type: ignore[index]

    def value(rows: torch.Tensor) -> torch.Tensor:
        is_deep = rows[:, 0] > 0.6
        return torch.where(is_deep, -(rows[:, 1] - 0.3).square(), (rows[:, 2] - 0.5).square() - 0.1)

    start = space.decode([last, 0.9, 0.5, "v"][: len(space.decisions)])
    found = [each.decisions for each in itertools.islice(maximiser.best(hunt(space, Made2D(value), (start,))), 8)]
    assert [each[0] for each in found] == [last] * 8
    assert found[0][1] == pytest.approx(0.3, abs=1e-3)


def test_every_row_that_an_acquisition_sees_is_an_architecture_s() -> None:
    seen: list[torch.Tensor] = []

    def value(rows: torch.Tensor) -> torch.Tensor:
        seen.append(rows.detach().clone())
        return -(rows[:, :3] - 0.3).square().sum(-1)

    for maximiser, space, start in (
        (Mixed(raw=32, restarts=2), KINDS, ["deep", 0.2, 0.3, "u"]),
        (SobolLocal(grid=32, starts=2), KINDS, ["deep", 0.2, 0.3, "u"]),
        (Multistart(raw=32, restarts=3), BRANCHES, [2, 0.2, 0.3]),
    ):
        seen.clear()
        list(maximiser.best(hunt(space, Made2D(value), (space.decode(start),))))
        box, rows = Box(space), torch.cat(seen)
        torch.testing.assert_close(box.rows([box.architecture(row) for row in rows]), rows, atol=1e-9, rtol=0)


def test_sobol_local_looks_beside_the_best_trial() -> None:
    """At a peak as narrow as its spread that neither the grid nor a local search sees, flat as all else is."""

    def value(rows: torch.Tensor) -> torch.Tensor:
        r = (rows - 0.4321).square().sum(-1).sqrt()
        return torch.where((r > 0) & (r < 0.01), 1.0, 0.0) * torch.ones_like(r) + 0 * rows.sum(-1)

    space = line(2)
    best = first(SobolLocal(grid=16), hunt(space, Made2D(value), (space.decode([0.4321, 0.4321]),)))
    assert best.decisions == pytest.approx([0.4321, 0.4321], abs=5e-3)


def test_multistart_climbs_from_beside_the_best_trial() -> None:
    """To the top of a peak too narrow for quasi-random points, which all climb a hill elsewhere."""
    peak, hill = tensor(0.3, 0.65), tensor(0.9, 0.1)

    def value(rows: torch.Tensor) -> torch.Tensor:
        narrow = torch.exp(-(rows - peak).square().sum(-1) / (2 * 0.003**2))
        return narrow + 0.5 * torch.exp(-(rows - hill).square().sum(-1))

    space = line(2)
    best = first(Multistart(raw=32, restarts=2), hunt(space, Made2D(value), (space.decode([0.304, 0.646]),)))
    assert best.decisions == pytest.approx([0.3, 0.65], abs=1e-4)


def test_multistart_on_whole_numbers() -> None:
    space = Made(Real("r", 0.0, 1.0), Integer("i", 1, 200), name="whole")
    target = Box(space).rows([space.decode([0.4, 77])])

    def value(rows: torch.Tensor) -> torch.Tensor:
        return -(Box(space).snapped(rows) - target).square().sum(-1)

    best = first(Multistart(raw=128, restarts=3), hunt(space, Made2D(value), (space.decode([0.9, 3]),)))
    assert best.decisions[1] == 77
    assert best.decisions[0] == pytest.approx(0.4, abs=1e-3)


WIDE = Made(*(Real(f"x{k}", 0.0, 1.0) for k in range(21)), name="wide")
WHOLE = Made(Integer("i", 1, 3), name="whole")


@pytest.mark.parametrize(
    ("maximiser", "space", "message"),
    [
        (Direct(), WHOLE, "direct: i of space=whole is not a real number"),
        (Direct(), WIDE, "has 21 decisions, and it takes at most 20"),
        (Multistart(), mixed_space(), "multistart: c of space=mixed is categorical"),
    ],
)
def test_refusals(maximiser: Maximiser, space: Space, message: str) -> None:
    with pytest.raises(CombinationError, match=message):
        maximiser.for_(space, Stationary().on(space), ExpectedImproving())


@pytest.mark.parametrize("maximiser", [Mixed(), SobolLocal()])
@pytest.mark.parametrize("kernel", [MixedKernel(), Stationary()])
def test_a_draw_at_points_has_no_gradient(maximiser: Maximiser, kernel: Kernel) -> None:
    """So where the kernel compares categories, also as blocks of zeros and a one."""
    space = mixed_space()
    with pytest.raises(CombinationError, match="with strategy/acquisition=thompson"):
        maximiser.for_(space, kernel.on(space), Thompson())
    maximiser.for_(line(), Stationary().on(line()), Thompson())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Multistart(raw=0), "raw must be at least 1"),
        (lambda: Multistart(restarts=0), "restarts must be at least 1"),
        (lambda: SobolLocal(grid=0), "grid must be at least 1"),
        (lambda: SobolLocal(near=-1), "near must not be negative"),
        (lambda: SobolLocal(spread=0), "spread must be above 0"),
        (lambda: SobolLocal(starts=0), "starts must be at least 1"),
        (lambda: Direct(evaluations=0), "evaluations must be at least 1"),
        (lambda: Mixed(raw=0), "raw must be at least 1"),
    ],
)
def test_ranges(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
