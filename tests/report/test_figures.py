"""What the charts of one run show."""

from __future__ import annotations

import math

import pytest
from lines import OPERATIONS, architecture, first, line, search_of

from nas_cli.report.alphas import data_for_panels
from nas_cli.report.chart import Chart, Line
from nas_cli.report.figures import run_charts, trials_charts
from nas_cli.report.progress import best_so_far
from nas_cli.report.trace import trace_of


def chart(charts: list[Chart], title: str) -> Chart:
    (found,) = [each for each in charts if each.title == title]
    return found


def named(found: Chart) -> dict[str, Line]:
    return {each.name: each for each in found.lines if each.name}


def test_accuracies_and_what_is_looked_up_stand_in_one_chart() -> None:
    lines = [first(derived_accuracy=0.1, table_cifar10_test=0.9), line(1, derived_accuracy=0.2, table_cifar10_test=0.8)]
    found = chart(run_charts(trace_of(lines)), "Accuracy")
    assert {name: list(each.points) for name, each in named(found).items()} == {
        "training": [(1, 0.5), (2, 0.51)],
        "validation": [(1, 0.4), (2, 0.41)],
        "derived cell, supernet's weights": [(1, 0.1), (2, 0.2)],
        "looked up: cifar10 test": [(1, 0.9), (2, 0.8)],
    }
    assert found.percent
    assert len({each.colour for each in found.lines}) == 4


def test_text_models_have_perplexities() -> None:
    lines = [{"epoch": epoch, "train_perplexity": 90.0, "valid_perplexity": 80.0 - epoch} for epoch in range(3)]
    (found,) = run_charts(trace_of(lines))
    assert list(named(found)["validation"].points) == [(1, 80), (2, 79), (3, 78)]
    assert not found.percent


def test_skips_entropy_and_eigenvalue() -> None:
    lines = search_of([0, 1, 3])
    lines[1]["eigenvalue"] = 0.25
    charts = run_charts(trace_of(lines))
    assert list(named(chart(charts, "Skip connections of the derived cell"))["normal cell"].points) == [
        (1, 0),
        (2, 1),
        (3, 3),
    ]
    entropy = chart(charts, "Entropy of α")
    assert named(entropy).keys() == {"normal cell", "reduction cell"}
    assert list(entropy.levels) == [(math.log(4), "log 4")]
    assert list(chart(charts, "Dominant eigenvalue of the Hessian in α").lines[0].points) == [(2, 0.25)]


def test_what_the_probabilities_say() -> None:
    charts = run_charts(trace_of(search_of([0, 1])))
    # Each row is 0.1 none, 0.2, 0.3, 0.4.
    assert [y for _, y in chart(charts, "Probability of none").lines[0].points] == pytest.approx([0.1, 0.1])
    assert [y for _, y in chart(charts, "Margin of the best operation").lines[0].points] == pytest.approx([0.1, 0.1])


def test_edges_that_changed() -> None:
    found = chart(run_charts(trace_of(search_of([0, 2, 3]))), "Edges that changed since the last epoch")
    assert list(found.lines[0].points) == [(2, 2), (3, 1)]


def test_a_quantity_that_was_not_measured_has_no_chart() -> None:
    titles = {each.title for each in run_charts(trace_of([{"epoch": 0, "train_accuracy": 0.5, "eigenvalue": None}]))}
    assert titles == {"Accuracy"}


def test_stages_are_apart_and_marked() -> None:
    lines = [first(stage=0), line(1, stage=0), first(stage=1), line(1, stage=1)]
    found = chart(run_charts(trace_of(lines)), "Accuracy")
    assert list(found.marks) == [(2.5, "stage 2")]
    assert [list(each.points) for each in found.lines if each.colour == 1] == [
        [(1, 0.4), (2, 0.41)],
        [(3, 0.4), (4, 0.41)],
    ]


def test_what_a_search_left_is_pale() -> None:
    lines = [first(), line(1), line(2, valid_accuracy=0.1), line(2), line(3)]
    found = chart(run_charts(trace_of(lines)), "Accuracy")
    assert [list(each.points) for each in found.lines if each.faint and each.colour == 1] == [[(3, 0.1)]]


def test_panels_show_every_edge_and_operation() -> None:
    panels = data_for_panels(trace_of(search_of([0, 1])))
    assert [each.kind for each in panels] == ["normal", "reduce"]
    normal = panels[0]
    assert normal.operations == list(OPERATIONS)
    assert [panel.title for panel in normal.panels] == ["0 → 2", "1 → 2", "0 → 3", "1 → 3", "2 → 3"]
    assert normal.panels[0].pieces[3] == ("sep_conv_3x3", [(1, 0.4), (2, 0.4)])
    assert normal.panels[0].strongest == ("sep_conv_3x3", 0.4)
    assert [panel.kept for panel in normal.panels] == [
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_3x3",
        None,
        "sep_conv_3x3",
    ]
    assert (normal.first, normal.last, normal.top) == (1, 2, 0.4)


def test_panels_of_stages_with_fewer_operations() -> None:
    rows = {"normal": [[0.25, 0.75]] * 5}
    fewer = {"normal": [["none", "sep_conv_3x3"]] * 5}
    lines = [first(stage=0), line(0, stage=1, probabilities=rows, operations=fewer)]
    (panels, *_) = data_for_panels(trace_of(lines))
    assert [name for name, _ in panels.panels[0].pieces] == [*OPERATIONS, "none", "sep_conv_3x3"]
    assert panels.panels[0].pieces[-1] == ("sep_conv_3x3", [(2, 0.75)])


def test_panels_of_one_alpha_per_cell() -> None:
    rows, names = [[0.5, 0.5]] * 5, [["skip_connect", "sep_conv_3x3"]] * 5
    kinds = ["normal_0", "normal_1", "reduce_2"]
    decisions = [architecture(count)["decisions"][0] for count in (0, 1, 4)]
    (record,) = [
        {
            "epoch": 0,
            "architecture": {"space": "darts", "decisions": decisions},
            "probabilities": dict.fromkeys(kinds, rows),
            "operations": dict.fromkeys(kinds, names),
            **{f"skips_{kind}": 1 for kind in kinds},
        }
    ]
    trace = trace_of([record])
    panels = data_for_panels(trace)
    assert [each.kind for each in panels] == kinds
    assert [sum(panel.kept == "skip_connect" for panel in each.panels) for each in panels] == [0, 1, 4]
    skips = chart(run_charts(trace), "Skip connections of the derived cell")
    assert named(skips).keys() == {"normal cell 0", "normal cell 1", "reduction cell 2"}


def test_panels_of_a_recurrent_cell() -> None:
    names, rows = ["none", "tanh", "relu"], [[0.1, 0.5, 0.4]] * 3
    record = {
        "epoch": 0,
        "architecture": {"space": "darts_recurrent", "decisions": ["relu:0 tanh:1"]},
        "probabilities": {"recurrent": rows},
        "operations": {"recurrent": [names] * 3},
        "skips_recurrent": 0,
    }
    assert "Skip connections of the derived cell" not in {each.title for each in run_charts(trace_of([record]))}
    (panels,) = data_for_panels(trace_of([record]))
    assert [(panel.title, panel.kept) for panel in panels.panels] == [
        ("0 → 1", "relu"),
        ("0 → 2", None),
        ("1 → 2", "tanh"),
    ]


@pytest.mark.parametrize(
    "probabilities",
    [None, 3, {"normal": 3}, {"normal": [[0.1]]}, {"normal": [["a"] * 4] * 5}, {"normal": [[None] * 4] * 5}, {"x": []}],
)
def test_malformed_probabilities_are_left_out(probabilities: object) -> None:
    trace = trace_of([first(probabilities=probabilities)])
    assert data_for_panels(trace) == []
    assert run_charts(trace)


def trial(index: int, score: float | None, tested: float | None = None) -> dict[str, object]:
    return {"index": index, "score": score, "metrics": {} if tested is None else {"test_accuracy": tested}}


def test_best_so_far_and_its_test_accuracy() -> None:
    trials = [trial(0, 0.5, 0.6), trial(1, None), trial(2, 0.4, 0.9), trial(3, 0.7, 0.55), trial(4, 0.1, 0.99)]
    trace = trace_of([], trials)
    assert best_so_far(trace) == [(1, 0.5), (4, 0.7), (5, 0.7)]
    best, every = trials_charts(trace, "valid_accuracy")
    assert [list(each.points) for each in best.lines] == [
        [(1, 0.5), (4, 0.7), (5, 0.7)],
        [(1, 0.6), (4, 0.55), (5, 0.55)],
    ]
    assert list(every.lines[0].points) == [(1, 0.5), (3, 0.4), (4, 0.7), (5, 0.1)]
    assert every.note == "1 of 5 evaluations failed."


def test_a_search_in_which_all_failed_has_no_chart() -> None:
    assert trials_charts(trace_of([], [trial(0, None)]), "score") == []
    assert best_so_far(trace_of([], [trial(0, None)])) == []
