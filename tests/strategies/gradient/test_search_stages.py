"""The supernet loop over stages, and what ends a stage or goes back (systems sheet, sections 4 to 6)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import MadeUp
from searches import EPOCHS, STEPS, alphas, finish, relaxation, same, search, state
from torch import Tensor

from nas_cli.data.augmentation import Augmentation
from nas_cli.estimators.shared_weights import EdgeWeights
from nas_cli.networks.choices import CellChoices
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.regularisers import Regulariser, SkipDropout
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.search import GradientSearch
from nas_cli.strategies.gradient.stages import Progressive
from nas_cli.strategies.gradient.stopping import History, SkipConnects, Stop, Stopping


def staged(seed: int = 0, **options: Any) -> GradientSearch:
    """Three stages of two epochs, four, three and two of four operations, and noise."""
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))
    parts = {"stages": Progressive((3, 3, 4), (1.0, 0.75, 0.5)), "regularisers": {"skip": SkipDropout((0.0, 0.4))}}
    return search(dataset, seed, **{**parts, "warm_up": 1, **options})


def test_every_stage_begins_anew_on_what_the_last_left_open() -> None:
    made = staged()
    assert made.total == 3 * EPOCHS * STEPS
    starts, cells = [], []
    for stage in range(3):
        made._begin()
        starts.append(alphas(made))
        cells.append(len(made.shared.network.cells))  # type: ignore[arg-type]
        assert made.shared.optimizer.param_groups[0]["lr"] == 0.05
        assert not made.shared.optimizer.state
        for _ in range(EPOCHS * STEPS):
            made.step() if not made._result else None
        assert made._stage == min(stage + 1, 2)
    assert cells == [3, 3, 4]
    assert [start["normal"].shape for start in starts] == [(5, 4), (5, 3), (5, 2)]
    assert all(start["normal"].abs().max() < 0.01 for start in starts)


def test_the_lines_of_stages_and_their_sets() -> None:
    metrics, (trial,) = finish(staged())
    assert [(line["stage"], line["epoch"], line["step"]) for line in metrics] == [
        *((0, 0, 3), (0, 1, 6), (1, 0, 9), (1, 1, 12), (2, 0, 15), (2, 1, 18)),
    ]
    first = [line for line in metrics if "operations" in line]
    assert [line["epoch"] for line in first] == [0, 0, 0]
    for kind in ("normal", "reduce"):
        lists = [line["operations"][kind] for line in first]
        assert [{len(row) for row in rows} for rows in lists] == [{4}, {3}, {2}]
        for wide, narrow, line in zip(lists, lists[1:], (metrics[1], metrics[3]), strict=False):
            for names, fewer, probabilities in zip(wide, narrow, line["probabilities"][kind], strict=True):
                strongest = sorted(zip(probabilities, names, strict=True), reverse=True)[: len(fewer)]
                assert fewer == [name for name in names if name in {name for _, name in strongest}]
    assert trial.architecture.to_json() == metrics[-1]["architecture"]
    assert trial.budget == 3 * EPOCHS
    assert [line["learning_rate"] for line in metrics] == pytest.approx([0.05, 0.0255] * 3)


def resumed(make: Callable[[], GradientSearch], at: Sequence[int]) -> None:
    """A search is saved after each of so many steps and goes on from there in another object."""
    states = []
    first, steps = make(), 0
    whole: list[dict[str, Any]] = []
    for stop in at:
        whole += finish(first, stop - steps)[0]
        steps = stop
        states.append((saved(first.state_dict()), len(whole)))
    whole += finish(first)[0]
    for stop, (found, lines) in zip(at, states, strict=True):
        second = make()
        second.load_state_dict(found)
        assert second.position == stop
        assert finish(second)[0] == whole[lines:]
        assert same(state(second), state(first))


def test_resumed_in_any_stage_it_is_the_same_bit_for_bit() -> None:
    resumed(staged, [1, 6, 11, 12])


def test_a_rule_can_end_each_stage_early() -> None:
    class After(Stopping):
        """One epoch in each stage."""

        def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
            return Stop(0)

    metrics, (trial,) = finish(staged(stopping=After(), warm_up=0))
    assert [(line["stage"], line["epoch"]) for line in metrics] == [(0, 0), (1, 0), (2, 0)]
    assert trial.budget == 3


class At(Stopping):
    """Ends after one epoch with the cell of another."""

    def __init__(self, last: int, epoch: int) -> None:
        self.last, self.epoch = last, epoch

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        return Stop(self.epoch) if len(moved) == self.last + 1 else None


@pytest.mark.parametrize(("last", "epoch"), [(2, 2), (2, 0), (3, 1)])
def test_a_rule_ends_the_search_with_an_epoch_s_cell(last: int, epoch: int) -> None:
    plain, _ = finish(search(epochs=5))
    metrics, (trial,) = finish(search(epochs=5, stopping=At(last, epoch)))
    assert metrics == plain[: last + 1]  # until then it is the same search
    assert trial.architecture.to_json() == plain[epoch]["architecture"]
    assert trial.score == plain[epoch]["valid_accuracy"]
    assert trial.metrics["epochs"] == epoch + 1
    assert trial.budget == last + 1


def test_a_search_that_ended_early_is_resumed_as_done_or_not_yet() -> None:
    resumed(lambda: search(epochs=5, stopping=At(2, 1)), [4, 9])


class Skip(Regulariser):
    """Pays for skip connections."""

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        return -1000 * torch.stack([rows[:, 2].sum() for rows in weights.values()]).sum()


@pytest.mark.parametrize(("warm_up", "ends"), [(2.0, 3), (2.5, 3), (3.0, 4)])
def test_epochs_that_leave_the_architecture_alone_end_nothing(warm_up: float, ends: int) -> None:
    """Not even where the cell of the fresh parameters has skips, and never moved parameters are stable."""
    limits = {"regularisers": {"skip": Skip()}, "stopping": SkipConnects(2, 0), "mixing": Skewed(), "epochs": 6}
    metrics, (trial,) = finish(search(warm_up=warm_up, **limits))
    assert all(line["skips_normal"] >= 2 for line in metrics)
    assert [line.get("frozen") for line in metrics] == [int(warm_up), *[None] * (len(metrics) - 1)]
    assert (len(metrics), trial.metrics["epochs"]) == (ends, ends)


class Skewed(Softmax):
    """Skips are likeliest from the beginning."""

    def initial(self, choices: CellChoices) -> dict[str, Tensor]:
        return {kind: torch.eye(open_.shape[1])[2].repeat(open_.shape[0], 1) for kind, open_ in choices.items()}


def test_a_rule_goes_back_no_further_than_to_the_first_epoch_that_moved() -> None:
    """Back() counts from there: it returns to the second such epoch."""
    metrics, _ = finish(search(epochs=6, warm_up=1.0, stopping=Back()))
    assert [line["epoch"] for line in metrics] == [0, 1, 2, 3, 3, 3, 4, 5]


def test_two_skips_end_a_search() -> None:
    metrics, (trial,) = finish(search(epochs=5, regularisers={"skip": Skip()}, stopping=SkipConnects(2, 1)))
    assert len(metrics) == 2
    assert trial.metrics["skips_normal"] >= 2


class Back(Stopping):
    """Twice goes back to the end of an epoch with ten times the weight decay."""

    def __init__(self, after: int = 2, epoch: int = 1) -> None:
        self.after, self.epoch = after, epoch

    def returnable(self, moved: History) -> list[int]:
        return [self.epoch]

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        decay = moved[-1]["weight_decay"]
        if len(moved) == self.after + 1 and decay < 0.01:
            return Stop(self.epoch, 10 * decay)
        return None


def going_back() -> GradientSearch:
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))
    return search(dataset, epochs=4, stopping=Back())


def without_decay(found: dict[str, Any]) -> dict[str, Any]:
    """A state of the relaxation, but for the weight decay of the weights."""
    found = copy.deepcopy(found)
    for group in found["shared"]["optimizer"]["param_groups"]:
        del group["weight_decay"]
    return found


class TestGoingBack:
    def test_all_is_as_at_the_end_of_that_epoch_but_for_the_weight_decay(self) -> None:
        made = going_back()
        finish(made, 2 * STEPS)
        reached = copy.deepcopy(relaxation(made).state_dict())
        assert made.shared.optimizer.param_groups[0]["weight_decay"] == 3e-4
        finish(made, STEPS - 1)
        assert not same(relaxation(made).state_dict(), reached)
        for decay in (3e-3, 3e-2):
            finish(made, 1 if decay == 3e-3 else STEPS)
            again = relaxation(made).state_dict()
            assert made.shared.optimizer.param_groups[0]["weight_decay"] == pytest.approx(decay)
            # Weights, α, both optimisers, buffers of normalisation, and how many batches were drawn.
            assert same(without_decay(again), without_decay(reached))
            assert (again["shared"]["train"], again["shared"]["held_out"]) == (
                reached["shared"]["train"],
                reached["shared"]["held_out"],
            )

    def test_its_lines(self) -> None:
        made = going_back()
        metrics, (trial,) = finish(made)
        assert [line["epoch"] for line in metrics] == [0, 1, 2, 2, 2, 3]
        assert [line["step"] for line in metrics] == [3, 6, 9, 12, 15, 18]
        assert [line["weight_decay"] for line in metrics] == pytest.approx([3e-4, 3e-4, 3e-4, 3e-3, 3e-2, 3e-2])
        rates = [line["learning_rate"] for line in metrics]
        assert rates[2] == rates[3] == rates[4]  # the same place on the cosine
        assert trial.metrics["epochs"] == 4
        assert trial.budget == 6

    def test_resumed_before_and_after_it_is_the_same_bit_for_bit(self) -> None:
        resumed(going_back, [8, 9, 10, 15])

    def test_a_kept_state_does_not_change_while_the_search_goes_on(self) -> None:
        made = going_back()
        finish(made, 2 * STEPS)
        kept = copy.deepcopy(made._kept)
        finish(made, STEPS + 1)  # back, and a step on
        assert set(kept) == {1}
        assert same(made._kept, kept)
