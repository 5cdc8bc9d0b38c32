"""Which epochs' cells are shown, and that pictures are kept once."""

from __future__ import annotations

from xml.etree import ElementTree

from lines import architecture, first, line, search_of

from nas_cli.report.strip import MOST_PICTURES, Pictures, at, chosen, data_for_frames
from nas_cli.report.trace import trace_of


def test_a_frame_for_every_epoch() -> None:
    frames = data_for_frames(trace_of(search_of([0, 1, 1, 3])))
    assert [(frame.x, frame.changed) for frame in frames] == [(1, None), (2, 1), (3, 0), (4, 2)]
    assert frames[3].facts[:3] == ["3 skips in normal cell", "0 skips in reduction cell", "validation 43.0 %"]
    assert [graph.title for graph in frames[0].graphs] == ["normal cell", "reduction cell"]
    assert frames[0].graphs[0].edges[0] == (0, 2, "sep 3")


def test_inputs_are_numbered_where_the_nodes_go_on_from_them() -> None:
    (cell, _) = data_for_frames(trace_of([line(0)]))[0].graphs
    assert (cell.inputs, cell.nodes) == (("0", "1"), ("2", "3"))
    data = {"space": "darts_recurrent", "decisions": ["relu:0 tanh:1"]}
    (recurrent,) = data_for_frames(trace_of([line(0, architecture=data)]))[0].graphs
    assert (recurrent.inputs, recurrent.nodes) == (("x", "h"), ("0", "1", "2"))


def test_the_strip_is_spread_evenly_and_holds_what_is_wanted() -> None:
    frames = data_for_frames(trace_of(search_of([0] * 50)))
    shown = [frame.x for frame in chosen(frames)]
    assert shown == [1, 8, 15, 22, 29, 36, 43, 50]
    assert [frame.x for frame in chosen(frames, [3, 999])] == sorted([3, *shown])


def test_the_strip_shows_every_stage() -> None:
    lines = [
        first(stage=stage) if epoch == 0 else line(epoch, stage=stage) for stage in range(3) for epoch in range(25)
    ]
    frames = chosen(data_for_frames(trace_of(lines)))
    assert [(frame.stage, frame.x) for frame in frames] == [
        (stage, 25 * stage + x) for stage in range(3) for x in (1, 13, 25)
    ]
    assert [frame.changed is None for frame in frames] == [True, False, False] * 3


def test_frames_at_given_epochs_are_the_last_up_to_each() -> None:
    frames = data_for_frames(trace_of([line(0), line(1, architecture=None), line(2), line(3)]))
    assert [frame.x for frame in at(frames, [2, 3, 7, 9])] == [1, 3, 4]
    assert at([], [2]) == []


def test_of_very_many_pictures_every_so_many_epochs_stay() -> None:
    frames = data_for_frames(trace_of(search_of([0] * 200)))
    assert sum(len(frame.graphs) for frame in frames) <= MOST_PICTURES + 4
    assert (frames[0].x, frames[-1].x) == (1, 200)


def test_what_cannot_be_drawn_has_no_frame() -> None:
    trace = trace_of([line(0, architecture={"space": "x", "decisions": [1]}), line(1, architecture=None), line(2)])
    assert [frame.x for frame in data_for_frames(trace)] == [3]
    assert data_for_frames(trace_of([])) == []
    assert chosen([]) == []


def test_a_cell_is_kept_once() -> None:
    pictures = Pictures()
    frames = data_for_frames(trace_of([line(epoch, architecture=architecture(0, 0)) for epoch in range(4)]))
    shown = [pictures.show(graph, f"epoch {frame.x}") for frame in frames for graph in frame.graphs]
    assert len(shown) == 8
    root = ElementTree.fromstring(pictures.definitions())
    assert [symbol.attrib["id"] for symbol in root.iter("symbol")] == ["cell0"]
    assert all('href="#cell0"' in each for each in shown)


def test_names_from_a_file_are_escaped() -> None:
    data = {"space": "nasbench201", "decisions": ['<script>"&', "skip_connect", "none", "none", "none", "none"]}
    pictures = Pictures()
    (frame,) = data_for_frames(trace_of([line(0, architecture=data)]))
    figure = pictures.figure(frame.graphs, "<i>", "heading", ["<b>"])
    for drawn in (figure, pictures.definitions()):
        assert "<script" not in drawn
        ElementTree.fromstring(drawn)
    assert "<b>" not in figure
    assert "<i>" not in figure
