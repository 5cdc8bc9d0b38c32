"""What a search believed, from its configuration and its trials alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bayesian_run import PLACES, bayesian_run

from nas_cli.errors import InputError
from nas_cli.journal import Trial
from nas_cli.report.chart import Chart, Point
from nas_cli.report.heat_maps import Map
from nas_cli.report.model_pictures import model_pictures_of, side_by_side
from nas_cli.report.posterior import GRID, Outlook, data_for_outlooks
from nas_cli.report.posterior_pictures import posterior_pictures
from nas_cli.report.prior_pictures import prior_pictures
from nas_cli.report.rebuild import rebuild
from nas_cli.report.trace import trace_of
from nas_cli.spaces.functions import FunctionSpace


def at(look: Outlook, values: Sequence[float], x: float) -> float:
    """A value at the point of the grid nearest to x."""
    return values[min(range(len(values)), key=lambda k: abs(look.points[k][0] - x))]


def test_the_posterior_goes_through_what_was_known() -> None:
    looks = data_for_outlooks(*bayesian_run())
    *plain, pending = looks
    assert [len(look.known) for look in plain] == [2, 3, 4, 5, 6]
    assert [look.proposal for look in plain] == [1, 2, 3, 4, 5]
    for look in plain:
        assert [place for place, _ in look.known] == [(x,) for x in PLACES["brochu1d"]][: len(look.known)]
        assert len(look.points) >= GRID[1]
        assert look.points == sorted(look.points)
        for (x,), score in look.known:  # places of evaluations are points of the grid
            assert at(look, look.mean, x) == pytest.approx(score, abs=1e-6)
            assert at(look, look.spread, x) < 1e-3
        assert look.incumbent == max(score for _, score in look.known)
        assert not look.members
    assert [look.proposed for look in plain] == [(0.9,), (0.3,), (1.1,), (0.7,), None]
    assert at(plain[0], plain[0].truth, 0.1) == pytest.approx(plain[0].known[0][1], abs=1e-12)
    assert (len(pending.known), pending.waiting, pending.proposed) == (3, [(0.3,), (1.1,)], None)


def test_three_evaluations_are_drawn_of_a_longer_design_too() -> None:
    looks = data_for_outlooks(*bayesian_run("brochu1d", "strategy.initial.points=5"))
    assert [(len(look.known), look.in_design) for look in looks] == [(3, True), (5, False), (6, False)]
    assert [look.proposed for look in looks] == [None, (0.7,), None]
    (few, _), *_ = posterior_pictures(looks)
    assert isinstance(few, Chart)
    assert "normal at a point" in [line.name for line in few.lines]
    assert "no acquisition chose it" in few.note


def test_the_maximum_of_a_plateau_is_where_the_search_went() -> None:
    look = data_for_outlooks(*bayesian_run())[0]
    flat = replace(look, acquisition=[1.0] * len(look.points), proposed=(0.9,))
    assert maximum_of(flat)[0] == pytest.approx(0.9)
    peak = max(range(len(look.points)), key=lambda k: look.acquisition[k])
    assert maximum_of(replace(look, proposed=None)) == (look.points[peak][0], look.acquisition[peak])
    far = replace(look, proposed=(1.2,))  # hyper-parameters that are inferred anew may lead elsewhere
    assert maximum_of(far) == maximum_of(replace(look, proposed=None))


def maximum_of(look: Outlook) -> Point:
    ((_, lower),) = posterior_pictures([look])
    assert isinstance(lower, Chart)
    (found,) = [line for line in lower.lines if line.name == "its maximum"]
    return found.points[0]


def test_a_search_is_met_as_it_was() -> None:
    """Samples of hyper-parameters go on from those of the proposal before: every one in between counts."""
    run, _ = bayesian_run(
        "brochu1d",
        "strategy/hyperparameters=mcmc",
        "strategy.hyperparameters.samples=2",
        "strategy.hyperparameters.burn_in=5",
        "strategy.exact=false",
        "strategy/acquisition=ei",
        "strategy/maximiser=sobol_local",
        "strategy.maximiser.grid=50",
    )
    strategy, trials, promised = rebuild(run), [], {}
    for index in range(8):
        if index >= strategy.first:
            _, acquisition = strategy.outlook([])
            promised[index] = acquisition(torch.tensor([[[0.25]]], dtype=torch.float64)).item()
        (candidate,) = strategy.ask(1, [])
        space = strategy.space
        assert isinstance(space, FunctionSpace)
        trial = Trial(index, candidate.architecture, space.value(candidate.architecture))
        strategy.tell(trial)
        trials.append(trial.to_json())
    looks = [look for look in data_for_outlooks(run, trace_of([], trials)) if look.proposed is not None]
    assert [len(look.known) for look in looks] == [2, 3, 4, 5, 6]
    for look in looks:
        assert at(look, look.acquisition, 0.3) == pytest.approx(promised[len(look.known)], rel=1e-9)


def test_acquisitions_on_the_same_posterior_stand_side_by_side() -> None:
    models = []
    for name in ("ei", "pi", "ucb"):
        found = model_pictures_of(*bayesian_run("brochu1d", f"strategy/acquisition={name}"), title=name)
        assert found is not None
        models.append(found)
    (both,) = side_by_side(models)
    (upper,), *others = both.posterior
    assert isinstance(upper, Chart)
    assert (upper.title, list(upper.marks)) == ("2 evaluations", [])
    assert [column[0].title for column in others] == ["ei", "pi", "ucb"]
    assert [column[0] for column in others] == [replace(m.posterior[0][1], title=m.title) for m in models]
    # One alone, or twice the same, says nothing.
    assert side_by_side(models[:1]) == []
    assert side_by_side([models[0], models[0]]) == []
    other = model_pictures_of(*bayesian_run("brochu1d", "strategy/kernel=se", "strategy/acquisition=ucb"), title="se")
    assert other is not None
    assert side_by_side([models[0], other]) == []


def test_pending_points_take_the_acquisition_away_from_themselves() -> None:
    looks = data_for_outlooks(*bayesian_run())
    without, pending = looks[1], looks[-1]
    for (x,) in pending.waiting:
        assert at(pending, pending.acquisition, x) < 0.2 * at(without, without.acquisition, x)
    assert len(pending.members) == 4
    for member in pending.members:
        for (x,), told in zip(pending.waiting, member.pending, strict=True):
            assert at(pending, member.mean, x) == pytest.approx(told, abs=1e-2)


def test_what_direct_looked_at_is_told_once() -> None:
    looks = data_for_outlooks(*bayesian_run("branin", "strategy/maximiser=direct", "strategy.maximiser.evaluations=40"))
    assert len(looks[0].looked) >= 40
    assert (2.5, 7.5) in looks[0].looked  # the centre comes first
    assert not looks[1].looked


def test_pictures_of_one_number_and_of_two() -> None:
    columns = posterior_pictures(data_for_outlooks(*bayesian_run()))
    assert all([type(picture) for picture in column] == [Chart, Chart] for column in columns)
    assert [column[0].title for column in columns][:2] == ["2 evaluations", "3 evaluations"]
    names = [[line.name for line in top.lines] for top, *_ in columns if isinstance(top, Chart)]
    assert ["normal at a point" in each for each in names] == [False, True, False, False, False, False]
    truth, *others = posterior_pictures(data_for_outlooks(*bayesian_run("branin")))
    assert [len(truth), *map(len, others)] == [1, 3, 3, 3]
    (shown,) = truth
    assert isinstance(shown, Map)
    # x1 goes across and x2 up: at (-5, 0) branin is lowest, and that is the first value.
    assert shown.values[0][0] == min(map(min, shown.values))


def test_a_class_of_someone_else_s_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap_of_a_report.py").write_text("raise SystemExit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    run, trace = bayesian_run()
    assert run.config is not None
    for part in ("space", "strategy"):
        inside = run.config[part] | {"kernel": {"_target_": "trap_of_a_report.Kernel"}}
        changed = replace(run, config=run.config | {part: inside})
        with pytest.raises(InputError, match="which is not made for a report"):
            rebuild(changed)
        album = model_pictures_of(changed, trace)
        assert album is not None
        assert "trap_of_a_report" in album.fault
    assert "trap_of_a_report" not in sys.modules


def test_damaged_trials_are_told() -> None:
    run, trace = bayesian_run()
    album = model_pictures_of(run, replace(trace, trials=({"index": 0, "what": 1},)))
    assert album is not None
    assert "not a trial" in album.fault


def test_draws_are_rougher_the_shorter_the_length_scale() -> None:
    run, _ = bayesian_run()
    columns = prior_pictures(run)
    turns = []
    for (chart,) in columns:
        assert isinstance(chart, Chart)
        ys = [y for _, y in chart.lines[0].points]
        turns.append(sum((b - a) * (c - b) < 0 for a, b, c in zip(ys, ys[1:], ys[2:], strict=False)))
    assert turns[0] > turns[2]


def test_a_long_length_scale_takes_a_decision_out() -> None:
    run, _ = bayesian_run("branin", "strategy/kernel=ard_se")
    *_, (long,) = prior_pictures(run)
    assert isinstance(long, Map)
    assert "Automatic relevance determination: along x2" in long.note
    across = max(long.values[0]) - min(long.values[0])
    up = max(abs(row[0] - long.values[0][0]) for row in long.values)
    assert up < 0.3 * across
