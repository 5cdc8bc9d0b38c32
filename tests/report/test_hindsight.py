"""DARTS+ applied to searches that went on (sheet of the differentiable methods, section 5)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lines import architecture, first, line, search_of

from nas_cli.report.hindsight import hindsight, told
from nas_cli.report.runs import Run
from nas_cli.report.trace import trace_of

RUN = Run(Path("run"), finished=True, command="search", strategy="darts")


@pytest.mark.parametrize(
    ("skips", "ends"),
    # By chance a first cell may have many: the rule looks from the third on.
    [([0, 1, 1, 2, 3], 4), ([2, 2, 0], None), ([0, 1, 1], None), ([1, 0, 4, 1, 2], 3)],
)
def test_it_ends_at_the_first_epoch_with_two(skips: list[int], ends: int | None) -> None:
    found = hindsight(RUN, trace_of(search_of(skips)))
    assert found is not None
    assert (found.chosen and found.chosen.x) == ends
    assert (found.final.x, found.epochs) == (len(skips), len(skips))


def test_the_last_stage_counts() -> None:
    before = [first(3, stage=0), line(1, 3, stage=0), line(2, 3, stage=0)]
    lines = [*before, first(0, stage=1), line(1, 1, stage=1), line(2, 2, stage=1)]
    found = hindsight(RUN, trace_of(lines))
    assert found is not None
    assert found.chosen is not None
    assert (found.chosen.x, found.chosen.index) == (6, 2)


def test_epochs_that_were_left_do_not_count() -> None:
    lines = [first(0), line(1, 1), line(2, 3), line(2, 1, weight_decay=0.01), line(3, 1)]
    found = hindsight(RUN, trace_of(lines))
    assert found is not None
    assert found.chosen is None


def test_the_result_need_not_be_the_last_epoch() -> None:
    run = Run(Path("run"), finished=True, command="search", metrics={"epochs": 2.0})
    found = hindsight(run, trace_of(search_of([0, 1, 1, 1])))
    assert found is not None
    assert (found.final.x, found.epochs) == (2, 4)


def test_where_each_layer_has_its_cell_the_one_with_most_counts() -> None:
    lines = [
        {
            "epoch": epoch,
            "architecture": architecture(),
            "skips_normal_0": 1,
            "skips_normal_3": epoch,
            "skips_reduce_1": 9,
        }
        for epoch in range(5)
    ]
    found = hindsight(RUN, trace_of(lines))
    assert found is not None
    assert found.chosen is not None
    assert found.chosen.x == 3


def test_there_is_none_without_a_normal_cell() -> None:
    lines = [{"epoch": 0, "architecture": architecture(), "skips_cell": 3, "skips_normal": "many"}]
    assert hindsight(RUN, trace_of(lines)) is None
    assert hindsight(RUN, trace_of([{"epoch": 0, "train_loss": 1.0}])) is None
    assert hindsight(RUN, trace_of([])) is None


def test_in_words() -> None:
    found = hindsight(RUN, trace_of(search_of([0, 1, 2, 3])))
    assert found is not None
    assert told(found) == (
        "epoch 3 of 4 (2 skips, valid accuracy 42.00 %); the run chose epoch 4 (3 skips, valid accuracy 43.00 %)"
    )
    found = hindsight(RUN, trace_of([first(1, valid_perplexity=63.5, valid_accuracy=None)]))
    assert found is not None
    assert told(found) == "no early end in 1 epochs; the run chose epoch 1 (1 skip, valid perplexity 63.5)"
