"""Rules that end a search (systems sheet, sections 5, 6.2, 6.4 and 6.5)."""

from __future__ import annotations

from typing import Any

import pytest

from nas_cli.errors import CombinationError, InputError
from nas_cli.networks.choices import CellChoices, Choices, all_pairs
from nas_cli.strategies.gradient.stopping import (
    Epochs,
    HessianEigenvalue,
    SkipConnects,
    StableRanking,
    Stop,
    Stopping,
)


def first_stop(rule: Stopping, history: list[dict[str, Any]]) -> tuple[int, Stop] | None:
    """The index of the epoch after which a rule first speaks, and what it says."""
    for last in range(len(history)):
        stop = rule(history[: last + 1])
        if stop is not None:
            return last, stop
    return None


def test_epochs_never_stop() -> None:
    assert first_stop(Epochs(), [{"epochs": 3, "skips_normal": 8}] * 3) is None


SKIPS: list[dict[str, Any]] = [{"skips_normal": count} for count in (0, 1, 1, 2, 3)]


class TestSkipConnects:
    def test_the_fourth_epoch_of_the_sheet(self) -> None:
        assert first_stop(SkipConnects(first_epoch=0), SKIPS) == (3, Stop(3))

    @pytest.mark.parametrize(("limit", "epoch"), [(1, 1), (3, 4)])
    def test_another_limit(self, limit: int, epoch: int) -> None:
        assert first_stop(SkipConnects(limit, first_epoch=0), SKIPS) == (epoch, Stop(epoch))

    def test_not_before_the_first_epoch(self) -> None:
        assert first_stop(SkipConnects(first_epoch=4), SKIPS) == (4, Stop(4))
        assert first_stop(SkipConnects(first_epoch=5), SKIPS) is None
        early = [{"skips_normal": 5}, {"skips_normal": 1}, {"skips_normal": 2}]
        assert first_stop(SkipConnects(first_epoch=1), early) == (2, Stop(2))

    def test_cells_without_a_normal_one(self) -> None:
        assert first_stop(SkipConnects(), [{"skips_recurrent": 8}] * 3) is None

    def test_ranges(self) -> None:
        with pytest.raises(InputError, match="limit must be at least 1, not 0"):
            SkipConnects(0)
        with pytest.raises(InputError, match="first_epoch must be at least 0, not -1"):
            SkipConnects(first_epoch=-1)


OPERATIONS = {"normal": [["none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5", "sep_conv_5x5"]] * 2}


class TestStableRanking:
    def history(self, *rows: list[float], other: list[float] | None = None) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = [
            {"probabilities": {"normal": [row, other or [0.2, 0.2, 0.3, 0.2, 0.1]]}} for row in rows
        ]
        lines[0]["operations"] = OPERATIONS
        return lines

    A, B = [0.1, 0.1, 0.4, 0.3, 0.1], [0.1, 0.1, 0.4, 0.1, 0.3]  # the first is the best in both

    def test_a_change_begins_the_count_anew(self) -> None:
        """r, r, r', r', r', r' with patience 3: it stops at the third repetition of r'."""
        history = self.history(self.A, self.A, self.B, self.B, self.B, self.B, self.B)
        assert first_stop(StableRanking(3), history) == (5, Stop(5))

    def test_patience_counts_repetitions(self) -> None:
        history = self.history(*[self.A] * 12)
        assert first_stop(StableRanking(1), history) == (1, Stop(1))
        assert first_stop(StableRanking(), history) == (10, Stop(10))
        assert first_stop(StableRanking(), history[:10]) is None

    def test_only_the_best_counts_if_asked(self) -> None:
        history = self.history(self.A, self.B, self.A, self.B)
        assert first_stop(StableRanking(3), history) is None
        assert first_stop(StableRanking(3, "best"), history) == (3, Stop(3))

    def test_operations_without_weights_do_not_count(self) -> None:
        moved = [0.5, 0.3, 0.1, 0.07, 0.03]  # none and skip are up, the others in the same order
        assert first_stop(StableRanking(1), self.history(self.A, moved)) == (1, Stop(1))

    def test_every_edge_counts(self) -> None:
        history = self.history(self.A, self.A)
        history[1]["probabilities"]["normal"][1] = [0.2, 0.2, 0.1, 0.2, 0.3]
        assert first_stop(StableRanking(1), history) is None

    def test_every_type_of_cell_counts(self) -> None:
        names = ["sep_conv_3x3", "nor_conv_1x1"]
        lines = [
            {"probabilities": {"normal": [[0.6, 0.4]], "reduce": [row]}, "operations": {"normal": [names]} | other}
            for row, other in (([0.6, 0.4], {"reduce": [names]}), ([0.4, 0.6], {}))
        ]
        assert first_stop(StableRanking(1), lines) is None
        lines[1]["probabilities"]["reduce"] = [[0.6, 0.4]]
        assert first_stop(StableRanking(1), lines) == (1, Stop(1))

    def test_ranges(self) -> None:
        with pytest.raises(InputError, match="patience must be at least 1, not 0"):
            StableRanking(0)


FIXTURES = {
    "no drop-path, seed 1": ".1788 .1482 .1703 .1464 .1211 .2488 .2311 .3595 .2246 .3859 .2085 .4298 .5083 .2287 .4098 "
    ".5024 .4997 .25 .4574 .5168 .6438 .4592 .7071 1.3192 .5272 .5212",
    "no drop-path, seed 2": ".1737 .1465 .2629 .1932 .1675 .2212 .209 .1505 .22 .29 .3138 .4737 .3055 .3624 .3232 .361 "
    ".9003 .243 .3006 .6285 .6465 .5168 .8209 .3947 .395 .3938",
    "no drop-path, seed 3": ".146 .2083 .3164 .1967 .2134 .1834 .3465 .2029 .25 .1714 .31 .3055 .2532 .2609 .4074 "
    ".5918 .5956 .7893 .7326 .4814 .3652 .7857 .913 .3125 .8798 1.0643",
    "drop-path 0.2, seed 1": ".153 .1399 .2769 .2547 .1117 .2188 .1626 .155 .1956 .1978 .1948 .1499 .1822 .1781 .1869 "
    ".2395 .2639 .2858 .2436 .2452 .156 .3928 .2403 .3643 .1923 .2521",
}
FIRES = {
    "no drop-path, seed 1": (22, 10, 1.4530),
    "no drop-path, seed 2": (22, 10, 1.5381),
    "no drop-path, seed 3": (30, 18, 1.4670),
    "drop-path 0.2, seed 1": (36, 24, 1.3675),
}
EPOCHS = [*range(0, 50, 2), 49]


def measured(values: list[float], epochs: list[int] = EPOCHS, weight_decay: float = 3e-4) -> list[dict[str, Any]]:
    """Fifty epochs, in some of which the eigenvalue was measured."""
    history: list[dict[str, Any]] = [{"weight_decay": weight_decay} for _ in range(50)]
    history[0]["epochs"] = 50
    for epoch, value in zip(epochs, values, strict=True):
        history[epoch]["eigenvalue"] = value
    return history


def released(name: str, scale: float = 1.0) -> list[dict[str, Any]]:
    return measured([scale * float(value) for value in FIXTURES[name].split()])


class TestHessianEigenvalue:
    RULE = HessianEigenvalue(window=5, lag=4, factor=1.3, first_epoch=10)

    def rule(self, **options: Any) -> HessianEigenvalue:
        return HessianEigenvalue(**{"window": 5, "lag": 4, "factor": 1.3, "first_epoch": 10, **options})

    @pytest.mark.parametrize("name", FIXTURES)
    def test_the_released_runs(self, name: str) -> None:
        fires, returns, ratio = FIRES[name]
        history = released(name)
        assert first_stop(self.RULE, history) == (fires, Stop(returns))
        # The ratio lies between the factors that just fire and just do not.
        upto = history[: fires + 1]
        assert self.rule(factor=ratio - 1e-4)(upto) == Stop(returns)
        assert self.rule(factor=ratio + 1e-4)(upto) is None

    def test_the_ratios_before_the_third_run_fires(self) -> None:
        history = released("no drop-path, seed 3")
        for epoch, ratio in zip(range(22, 32, 2), (1.0848, 1.0785, 1.1272, 1.2000, 1.4670), strict=True):
            upto = history[: epoch + 1]
            assert self.rule(factor=ratio - 1e-4)(upto) == Stop(epoch - 12)
            assert self.rule(factor=ratio + 1e-4)(upto) is None

    @pytest.mark.parametrize("scale", [1e-3, 7.0])
    @pytest.mark.parametrize("name", FIXTURES)
    def test_scaling_changes_no_decision(self, name: str, scale: float) -> None:
        assert first_stop(self.RULE, released(name, scale)) == first_stop(self.RULE, released(name))

    def test_a_constant_never_fires(self) -> None:
        assert first_stop(self.RULE, measured([0.2] * 26)) is None

    @pytest.mark.parametrize("values", [[-0.1 - 0.01 * n for n in range(26)], [0.0] * 26, [-1.0] * 10 + [5.0] * 4])
    def test_means_that_are_not_positive_never_fire(self, values: list[float]) -> None:
        assert first_stop(self.RULE, measured(values, EPOCHS[: len(values)])) is None

    def test_the_first_check_is_at_epoch_22(self) -> None:
        growing = measured([1.5**n for n in range(26)])
        assert first_stop(self.RULE, growing) == (22, Stop(10))
        assert first_stop(self.rule(first_epoch=0), growing) == (12, Stop(0))

    def test_the_first_mean_is_of_half_a_window(self) -> None:
        """A_3 at epoch 4 is of three values and counts as centred at epoch 0: the first to compare with is A_7."""
        values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0] + [1.0] * 19  # A_7 = 1.4, A_3 = 1
        assert first_stop(self.rule(first_epoch=0), measured(values)) == (12, Stop(0))
        assert first_stop(self.rule(first_epoch=1), measured(values)) is not None

    def test_the_last_epoch_ends_nothing(self) -> None:
        values = [1.0] * 25 + [100.0]
        assert first_stop(self.RULE, measured(values)) is None

    def test_epochs_without_a_measurement_decide_nothing(self) -> None:
        history = released("no drop-path, seed 1")
        assert self.RULE(history[:23]) == Stop(10)
        assert self.RULE(history[:24]) is None
        assert first_stop(self.RULE, [{"epochs": 9}] * 8) is None

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"window": 0}, "window and lag must be at least 1, not 0 and 4"),
            ({"lag": 0}, "window and lag must be at least 1, not 5 and 0"),
            ({"factor": 0.0}, "factor must be above 0, not 0.0"),
            ({"first_epoch": -1}, "first_epoch must be at least 0, not -1"),
            ({"adapt": 1.0}, "adapt must be above 1 or null, not 1.0"),
        ],
    )
    def test_ranges(self, options: dict[str, Any], told: str) -> None:
        with pytest.raises(InputError, match=told):
            self.rule(**options)


class TestAdaptive:
    """DARTS-ADA: the weight decay goes from 3e-4 to 3e-3 to 3e-2, and a stop after that is ignored."""

    RULE = HessianEigenvalue(window=5, lag=4, factor=1.3, first_epoch=10, adapt=10.0)

    @pytest.mark.parametrize(("before", "after"), [(3e-4, 3e-3), (3e-3, 3e-2), (3e-2, None), (0.0, None)])
    def test_the_chain_of_weight_decays(self, before: float, after: float | None) -> None:
        values = [float(value) for value in FIXTURES["no drop-path, seed 1"].split()]
        found = first_stop(self.RULE, measured(values, weight_decay=before))
        if after is None:
            assert found is None
            return
        assert found is not None
        fires, stop = found
        assert (fires, stop.epoch) == (22, 10)
        assert stop.weight_decay == pytest.approx(after)

    def test_nothing_is_kept_where_nothing_is_returned_to(self) -> None:
        history = released("no drop-path, seed 1")
        assert TestHessianEigenvalue.RULE.may_return_to(history) == []
        assert self.RULE.may_return_to(history[:10]) == []  # before first_epoch
        assert self.RULE.may_return_to(measured([0.1] * 26, weight_decay=0.03)) == []

    def test_what_it_may_return_to_is_kept_over_every_rewind(self) -> None:
        """Whatever the eigenvalues, a search that keeps what it is told to has every state that it is sent back to."""
        rule = HessianEigenvalue(window=3, lag=2, factor=1e-9, first_epoch=2, adapt=10.0)  # fires whenever it can
        history: list[dict[str, Any]] = []
        kept: set[int] = set()
        decay, returned = 3e-4, []
        while len(history) < 30:
            history.append({"epochs": 30, "weight_decay": decay, "eigenvalue": 1.0})
            # To fire late at first, so that there is somewhere to go back to a second time.
            stop = rule(history) if len(history) >= 20 or returned else None
            if stop is None:
                wanted = rule.may_return_to(history)
                kept = {epoch for epoch in kept | {len(history) - 1} if epoch in wanted}
                continue
            assert stop.epoch in kept
            assert stop.weight_decay is not None
            returned.append(stop.epoch)
            decay = stop.weight_decay
            history = history[: stop.epoch + 1]
            kept = {epoch for epoch in kept if epoch <= stop.epoch}
        assert returned == [16, 14]
        assert decay == pytest.approx(3e-2)
        assert not kept


EDGES = all_pairs(2, 2)


def choices(*rows: tuple[str, ...]) -> CellChoices:
    return {"normal": Choices(EDGES, rows * 5), "reduce": Choices(EDGES, (("sep_conv_3x3", "dil_conv_3x3"),) * 5)}


def test_a_rule_that_could_never_end_a_search_is_refused() -> None:
    SkipConnects().check([], choices(("none", "skip_connect")))
    with pytest.raises(CombinationError, match="no edge of a normal cell of this space can be a skip_connect"):
        SkipConnects().check([], choices(("noise", "sep_conv_3x3")))


def test_a_rule_that_would_end_every_search_is_refused() -> None:
    StableRanking().check([], choices(("skip_connect", "sep_conv_3x3")))  # reduction cells have two to rank
    alone = {"normal": choices(("skip_connect", "sep_conv_3x3"))["normal"]}
    with pytest.raises(CombinationError, match="no edge of this space has two operations with weights to rank"):
        StableRanking().check([], alone)


def test_a_rule_without_its_measurement_is_refused() -> None:
    HessianEigenvalue().check(["derived", "eigenvalue"], {})
    with pytest.raises(CombinationError, match=r"as in strategy/diagnostics=\[derived,eigenvalue\]"):
        HessianEigenvalue().check(["derived"], {})
