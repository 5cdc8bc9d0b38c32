"""What a run wrote is read in the order in which it counts, and a torn file gives what is whole."""

from __future__ import annotations

from pathlib import Path

from lines import first, line, search_of, write_lines

from nas_cli.report.trace import number, read_trace, trace_of


def test_epochs_are_counted_on_over_stages() -> None:
    trace = trace_of([first(stage=0), line(1, stage=0), first(stage=1), line(1, stage=1), line(2, stage=1)])
    assert [(epoch.x, epoch.stage, epoch.index) for epoch in trace.epochs] == [
        (1, 0, 0),
        (2, 0, 1),
        (3, 1, 0),
        (4, 1, 1),
        (5, 1, 2),
    ]
    assert trace.stages == 2
    assert trace.stage_ends == [2, 5]
    assert trace.planned == 100
    assert trace.rewinds == ()


def test_what_a_search_left_by_going_back_is_kept_apart() -> None:
    again = [line(2, weight_decay=0.01, valid_accuracy=0.9), line(3, weight_decay=0.01, valid_accuracy=0.9)]
    trace = trace_of([first(), line(1), line(2), line(3), *again])
    assert [epoch.x for epoch in trace.epochs] == [1, 2, 3, 4]
    assert trace.series("valid_accuracy") == [(1, 0.4), (2, 0.41), (3, 0.9), (4, 0.9)]
    assert [[epoch.x for epoch in piece] for piece in trace.left] == [[3, 4]]
    (rewind,) = trace.rewinds
    assert (rewind.start, rewind.end, rewind.weight_decay) == (4, 2, 0.01)


def test_any_cut_of_the_file_gives_its_whole_lines(tmp_path: Path) -> None:
    write_lines(tmp_path, search_of([0, 1, 2]))
    content = (tmp_path / "metrics.jsonl").read_bytes()
    ends = [position + 1 for position, byte in enumerate(content) if byte == 10]
    for cut in (0, 1, ends[0], ends[0] + 7, ends[1] - 2, len(content) - 2, len(content)):
        (tmp_path / "metrics.jsonl").write_bytes(content[:cut])
        trace = read_trace(tmp_path)
        # A last line that lacks nothing but its end is whole.
        whole = sum(cut >= end - 1 for end in ends)
        assert len(trace.epochs) == whole
        assert trace.damaged == (0 if cut in (0, *ends, *(end - 1 for end in ends)) else 1)


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"epoch": 0}\n[1]\n\xff\xfe\n{"epoch": 1}\n')
    (tmp_path / "trials.jsonl").write_text("nonsense\n")
    trace = read_trace(tmp_path)
    assert (len(trace.epochs), trace.damaged) == (2, 3)


def test_nothing_written_is_an_empty_trace(tmp_path: Path) -> None:
    trace = read_trace(tmp_path)
    assert (trace.epochs, trace.trials, trace.damaged, trace.is_gradient_search) == ((), (), 0, False)


def test_trials_stand_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    write_lines(tmp_path, [{"index": 2}, {"index": 0}, {"index": 1}], "trials.jsonl")
    assert [trial["index"] for trial in read_trace(tmp_path).trials] == [0, 1, 2]


def test_numbers() -> None:
    assert [number(value) for value in (1, 0.5, True, None, "1", float("nan"), float("inf"), 10**1000)] == [
        1.0,
        0.5,
        *[None] * 6,
    ]


def test_a_line_without_an_epoch_follows_the_one_before() -> None:
    assert [epoch.x for epoch in trace_of([{"step": 1}, {"step": 2}, {"epoch": -3}]).epochs] == [1, 2, 3]


def test_a_stage_of_any_number_is_one_more() -> None:
    assert trace_of([line(0, stage=0), line(0, stage=10**8)]).stages == 2
