"""What a search by Bayesian optimisation believed at some of its iterations, computed again from its trials.

Nothing is stored for it and no search is slowed: the strategy is built again, told the trials in their order, and asked
for its model and its acquisition before every proposal, as its hyper-parameters depend on those before. A search that
had one candidate judged at a time is met exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from nas_cli.architecture import Architecture
from nas_cli.journal import Trial
from nas_cli.report.rebuild import rebuild
from nas_cli.report.runs import Run
from nas_cli.report.trace import Trace

if TYPE_CHECKING:
    from botorch.acquisition import AcquisitionFunction
    from torch import Tensor

    from nas_cli.strategies.black_box.bo.acquisitions import Situation
    from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

#: Model-based proposals that are drawn, by their number from 1.
PROPOSALS = (1, 2, 3, 4, 5, 10, 20)
#: Points along each axis, by how many there are.
GRID = {1: 241, 2: 49}
MOST_MEMBERS = 4  # of which their own curves are drawn
#: A function of one number is drawn after so many evaluations in any case, as in Brochu et al., figure 2; with pending
#: points, as in Snoek et al., figure 2, where the design is no longer.
FEW = 3
PENDING = 2  # points that the picture of pending ones takes to have no result yet

Place = tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """A decision as an axis: its name, and its ends on the scale in which it is searched."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Member:
    """The mean and the acquisition under one vector of hyper-parameters, or one fantasy of pending results.

    Args:
        pending: what it takes the pending points to have given.
    """

    mean: Sequence[float]
    acquisition: Sequence[float]
    pending: Sequence[float]


@dataclass(frozen=True)
class Outlook:
    """A search before one of its proposals, on a grid of points.

    Args:
        axes: one or two.
        proposal: the number of the proposal, from 1.
        known: (place, score) of the trials so far.
        waiting: places without a result.
        in_design: whether the next point was one of the initial design, which no acquisition chose.
        proposed: where the acquisition led next; None where the search ended or was in its design, or where it would go
            elsewhere for what is waiting.
        points: places of the grid, the first axis changing slowest; of one number, also those known and proposed.
        mean, spread: of the function there, in units of the score where the score itself is modelled.
        acquisition: there; of an acquisition that is a logarithm, what it is the logarithm of.
        truth: the function there, without noise; empty where it is unknown.
        incumbent: what was improved on.
        is_mean_incumbent: whether that is a posterior mean.
        members: some of those over which the acquisition is averaged; empty where there is only one.
        looked: places that the maximiser DIRECT looked at for the first proposal.
    """

    axes: Sequence[Axis]
    proposal: int
    known: Sequence[tuple[Place, float]]
    waiting: Sequence[Place]
    in_design: bool
    proposed: Place | None
    points: Sequence[Place]
    mean: Sequence[float]
    spread: Sequence[float]
    acquisition: Sequence[float]
    truth: Sequence[float]
    incumbent: float
    is_mean_incumbent: bool
    members: Sequence[Member]
    looked: Sequence[Place]


def data_for_outlooks(run: Run, trace: Trace) -> list[Outlook]:
    """A run of Bayesian optimisation before some of its proposals; empty where it has other than one or two reals.

    Of one decision, the last is with pending points, which the search then proposed next.

    Raises `InputError` where the run's configuration is refused or a trial is damaged.
    """
    strategy = rebuild(run)
    if not is_drawn(strategy):
        return []
    trials = [Trial.from_json(dict(trial)) for trial in trace.trials]
    is_line, first = strategy.box.columns == 1, strategy.first
    drawn = {first + proposal - 1 for proposal in PROPOSALS}
    looks = [_outlook(rebuild(run), trials, FEW)] if is_line and first > FEW and len(trials) >= FEW else []
    pending = None
    for count in range(first, min(max(drawn), len(trials)) + 1):
        look = _outlook(strategy, trials, count, for_picture=count in drawn)
        looks.append(look)
        if is_line and count == max(FEW, first) and len(trials) >= count + PENDING:
            pending = _outlook(strategy, trials, count, PENDING)
    return [look for look in [*looks, pending] if look is not None]


def is_drawn(strategy: BayesianOptimisation) -> bool:
    """Whether what it models can be drawn: a function of one or two real numbers."""
    return strategy.box.is_real and strategy.box.columns in GRID


def grid_of(strategy: BayesianOptimisation) -> Tensor:
    """Rows of a grid over the unit interval or square, the first axis changing slowest."""
    import torch

    side = torch.linspace(0, 1, GRID[strategy.box.columns], dtype=torch.float64).tolist()
    return torch.tensor(list(product(side, repeat=strategy.box.columns)), dtype=torch.float64)


def axes_of(strategy: BayesianOptimisation) -> list[Axis]:
    """The decisions as axes."""
    from nas_cli.spaces.decisions import Number

    numbers = [decision for decision in strategy.space.decisions if isinstance(decision, Number)]
    return [
        Axis(
            f"log {number.name}" if number.log else number.name,
            number.scaled(number.from_unit(0.0)),
            number.scaled(number.from_unit(1.0)),
        )
        for number in numbers
    ]


def _outlook(
    strategy: BayesianOptimisation, trials: Sequence[Trial], count: int, pending: int = 0, for_picture: bool = True
) -> Outlook | None:
    """The search after so many trials, with some of the next pending; None where no trial has a score.

    Args:
        for_picture: else the strategy alone goes on, and nothing is returned.
    """
    import torch

    from nas_cli.strategies.black_box.bo.observations import Observations

    observations = Observations()
    for trial in trials[:count]:
        observations.add(trial.architecture, trial.score, trial.cost_seconds)
    if not observations.scores:
        return None
    told = {
        "observations": observations.state_dict(),
        "designed": strategy.first,
        "proposed": max(1, count - strategy.first + 1),
    }
    strategy.load_state_dict(strategy.state_dict() | told)
    if not for_picture:
        strategy.outlook([])
        return None
    waiting = [trial.architecture for trial in trials[count : count + pending]]
    in_design = count < strategy.first
    chosen = [trial.architecture for trial in trials[count : count + 1] if not (pending or in_design)]
    place, rows = _places(strategy), grid_of(strategy)
    if rows.shape[1] == 1:  # a peak of the acquisition may lie between two points of the grid
        rows = torch.cat([rows, strategy.box.rows([*observations.judged, *waiting, *chosen])]).sort(dim=0).values
    with torch.no_grad():
        situation, acquisition = strategy.outlook(waiting)
        unit, shift = _units(strategy)
        means, variances = situation.model.moments(rows)
        mean = means.mean((0, 2))
        # The variance within members, and that between them.
        spread = (variances.mean(0) + (means - mean[:, None]).square().mean((0, 2))).sqrt()
        heights = acquisition(rows.unsqueeze(1))
        members = _members(strategy, situation, rows, means, len(waiting), unit, shift)
    looked = _looked(strategy, acquisition, situation) if count == strategy.first and not pending else []
    incumbent = situation.incumbent.mean().item()
    grid = [strategy.box.architecture(row) for row in rows]
    return Outlook(
        axes=axes_of(strategy),
        proposal=strategy.proposed,
        known=[(place(each), score) for each, score in zip(observations.judged, observations.scores, strict=True)],
        waiting=[place(each) for each in waiting],
        in_design=in_design,
        proposed=place(chosen[0]) if chosen else None,
        points=[place(each) for each in grid],
        mean=(mean * unit + shift).tolist(),
        spread=(spread * unit).tolist(),
        acquisition=_value(strategy, heights).tolist(),
        truth=_truth(strategy, grid),
        incumbent=incumbent * unit + shift,
        is_mean_incumbent=strategy.uses_posterior_mean,
        members=members,
        looked=[place(each) for each in looked],
    )


def _places(strategy: BayesianOptimisation) -> Callable[[Architecture], Place]:
    from nas_cli.spaces.decisions import Number

    numbers = [decision for decision in strategy.space.decisions if isinstance(decision, Number)]

    def place(architecture: Architecture) -> Place:
        values = strategy.space.encode(architecture)
        return tuple(number.scaled(float(value or 0)) for number, value in zip(numbers, values, strict=True))

    return place


def _units(strategy: BayesianOptimisation) -> tuple[float, float]:
    """What a modelled score is multiplied by, and what is then added, to have the score."""
    import torch

    from nas_cli.strategies.black_box.bo.surrogate import standardised

    if strategy.is_log_error or not strategy.standardise:
        return 1.0, 0.0
    _, shift, scale = standardised(torch.tensor(strategy.observations.scores, dtype=torch.float64))
    return scale, shift


def _value(strategy: BayesianOptimisation, heights: Tensor) -> Tensor:
    return heights.exp() if strategy.acquisition.logarithmic else heights


def _members(
    strategy: BayesianOptimisation,
    situation: Situation,
    rows: Tensor,
    means: Tensor,
    waiting: int,
    unit: float,
    shift: float,
) -> list[Member]:
    count = means.shape[0] * means.shape[2]
    if count == 1 or rows.shape[1] > 1 or strategy.acquisition.draws_function or strategy.cost.is_modelled:
        return []
    heights = _value(strategy, strategy.acquisition.of_members(situation)(rows[:, None, None]))
    found = []
    for number in range(0, count, -(-count // MOST_MEMBERS)):
        vector, fantasy = divmod(number, means.shape[2])
        told = situation.model.targets[vector, -waiting:, fantasy] if waiting else means.new_empty(0)
        found.append(
            Member(
                (means[vector, :, fantasy] * unit + shift).tolist(),
                heights[:, number].tolist(),
                (told * unit + shift).tolist() if situation.pending is None else [],
            )
        )
    return found


def _truth(strategy: BayesianOptimisation, grid: Sequence[Architecture]) -> list[float]:
    from nas_cli.spaces.functions import FunctionSpace

    space = strategy.space
    # What is modelled in other units is not comparable with the function.
    if not isinstance(space, FunctionSpace) or strategy.is_log_error:
        return []
    return [space.value(each) for each in grid]


def _looked(
    strategy: BayesianOptimisation, acquisition: AcquisitionFunction, situation: Situation
) -> list[Architecture]:
    """Where DIRECT looks; nothing of other maximisers."""
    from nas_cli.strategies.black_box.bo.maximisers.base import Hunt
    from nas_cli.strategies.black_box.bo.maximisers.continuous import Direct

    if not isinstance(strategy.maximiser, Direct):
        return []
    ranked = strategy.observations.ranked()
    hunt = Hunt(acquisition, strategy.space, strategy.box, ranked, lambda _: False, situation.seed)
    return list(strategy.maximiser.best(hunt))
