"""What a search believed, from its configuration and its trials alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bayesian_run import PLACES, bayesian_run

from nas_cli.errors import InputError
from nas_cli.report.album import album_of
from nas_cli.report.chart import Chart
from nas_cli.report.maps import Map
from nas_cli.report.outlooks import pictures_of
from nas_cli.report.posterior import GRID, Outlook, data_for_outlooks
from nas_cli.report.prior import prior_pictures
from nas_cli.report.rebuild import rebuild


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
        assert len(look.points) == GRID[1]
        for (x,), score in look.known:
            assert at(look, look.mean, x) == pytest.approx(score, abs=1e-3)
            assert at(look, look.spread, x) < 1e-3
        assert look.incumbent == max(score for _, score in look.known)
        assert not look.members
    assert [look.proposed for look in plain] == [(0.9,), (0.3,), (1.1,), (0.7,), None]
    assert at(plain[0], plain[0].truth, 0.1) == pytest.approx(plain[0].known[0][1], abs=1e-12)
    assert (len(pending.known), pending.waiting, pending.proposed) == (3, [(0.3,), (1.1,)], None)


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
    columns = pictures_of(data_for_outlooks(*bayesian_run()))
    assert all([type(picture) for picture in column] == [Chart, Chart] for column in columns)
    assert [column[0].title for column in columns][:2] == ["2 evaluations", "3 evaluations"]
    names = [[line.name for line in top.lines] for top, *_ in columns if isinstance(top, Chart)]
    assert ["normal at a point" in each for each in names] == [False, True, False, False, False, False]
    truth, *others = pictures_of(data_for_outlooks(*bayesian_run("branin")))
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
        album = album_of(changed, trace)
        assert album is not None
        assert "trap_of_a_report" in album.fault
    assert "trap_of_a_report" not in sys.modules


def test_damaged_trials_are_told() -> None:
    run, trace = bayesian_run()
    album = album_of(run, replace(trace, trials=({"index": 0, "what": 1},)))
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
