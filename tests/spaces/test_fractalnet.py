"""The space of fractal networks."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import outcome

from nas_cli import published
from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.errors import InputError
from nas_cli.networks.fractal_rule import graph
from nas_cli.spaces.fractalnet import FractalSpace

IMAGE = (1, 8, 8)
TINY = ("architecture=fractalnet", "evaluation.epochs=1", "evaluation.batch_size=128", "space.widths=[4,6]")


def space(**options: object) -> FractalSpace:
    return FractalSpace("fractalnet", **options)  # type: ignore[arg-type]


def of(columns: int) -> Architecture:
    return Architecture("fractalnet", (columns,))


def test_columns_are_what_is_decided() -> None:
    assert [decision.name for decision in space().decisions] == ["columns"]
    assert space().size() == 6
    assert space(columns=(2, 4)).size() == 3
    assert space(columns=(3, 3)).size() == 1


@pytest.mark.parametrize("columns", [0, 7, 2.0, "2", None])
def test_other_numbers_are_refused(columns: object) -> None:
    with pytest.raises(InputError, match="columns="):
        space().encode(Architecture("fractalnet", (columns,)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": (0, 3)}, "from 1"),
        ({"columns": (3, 2)}, "least and the greatest"),
        ({"columns": (3,)}, "least and the greatest"),
        ({"widths": ()}, "widths"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"global_share": -0.1}, "global_share"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_options_that_make_no_network_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        space(**options)


def test_options_of_a_training_come_before_the_space_s_own() -> None:
    made = space(drop_path=0.3, global_share=0.2, dropout=0.1)
    with torch.device("meta"):
        own = made.build(of(2), IMAGE, 10)
        other = made.build(of(2), IMAGE, 10, widths=(5, 7), pool="after_join", drop_path=0.0, global_share=0.0)
    assert [len(network.blocks) for network in (own, other)] == [3, 2]
    assert (own.drop_path, own.global_share) == (0.3, 0.2)
    assert (other.drop_path, other.global_share) == (0.0, 0.0)
    assert [network.blocks[0].pool_first for network in (own, other)] == [True, False]


def test_parts_are_the_columns() -> None:
    made = space(widths=(4, 6))
    network = made.build(of(3), IMAGE, 10).eval()
    parts = made.parts(network)
    images = torch.randn(2, *IMAGE, generator=torch.Generator().manual_seed(0))
    assert list(parts) == ["column_1", "column_2", "column_3"]
    for column, part in enumerate(parts.values(), start=1):
        assert torch.equal(part(images), network(images, column))


def test_the_published_record_is_that_of_twenty_layers() -> None:
    record = published.record("fractalnet")
    counts = record["counts"]
    built = count(
        lambda: space().build(published.load("fractalnet"), (3, 32, 32), counts["classes"], widths=counts["widths"]),
        (3, 32, 32),
    )
    assert (built.params, built.macs) == (counts["params"], counts["macs"])
    assert counts["params"] == 33_724_618


def test_it_is_told_and_drawn() -> None:
    assert space().describe(of(3)) == "columns: 3\nin each block: convolutions 7, paths 5, depth 4"
    assert space().graphs(of(3)) == [graph(3)]


def test_drop_path_is_drawn_beside_the_block() -> None:
    """Of 3 columns: joins of 1, 2, 1 and 3 inputs; edges 0 to 6."""
    block, local, whole = space(drop_path=0.5).pictures(of(3))
    assert block == graph(3)
    assert {block.edges, local.edges, whole.edges} == {block.edges}
    for join in (1, 2, 3, 4):
        inputs = {place for place, (_, row, _) in enumerate(block.edges) if row == join}
        assert inputs - local.dropped  # something flows through every join
    assert local.dropped
    assert [edge for place, edge in enumerate(whole.edges) if place not in whole.dropped] == [
        (0, 2, "conv_3x3"),
        (2, 4, "conv_3x3"),
    ]
    assert [graph.title for graph in (local, whole)] == [
        "local drop-path: a draw; each input of a join is dropped with probability 0.5",
        "global drop-path: a draw of column 2 alone",
    ]
    assert space(drop_path=0.5).pictures(of(3))[1] == local


@pytest.mark.parametrize(
    ("options", "columns", "count"),
    [({}, 1, 1), ({"drop_path": 0.0}, 3, 2), ({"global_share": 0.0}, 3, 2), ({"drop_path": 1e-9}, 3, 2), ({}, 6, 3)],
)
def test_what_never_happens_is_not_drawn(options: dict[str, float], columns: int, count: int) -> None:
    assert len(space(**options).pictures(of(columns))) == count


def test_an_evaluation_tests_every_column_alone_and_resumes(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*TINY, "architecture.columns=2")
    assert run("nas-evaluate", *arguments, "hydra.run.dir=whole") == 0
    result = json.loads((tmp_path / "whole" / "result.json").read_text())["best"]
    assert result["architecture"] == {"space": "fractalnet", "decisions": [2]}
    tested = {name for name in result["metrics"] if name.startswith("test_accuracy_")}
    assert tested == {"test_accuracy_column_1", "test_accuracy_column_2"}
    assert 0 <= result["metrics"]["test_accuracy_column_1"] <= 1
    picture = (tmp_path / "whole" / "architecture.svg").read_text()
    assert all(title in picture for title in ("fractal block of 2 columns", "local drop-path", "global drop-path"))
    assert base64.b64encode(picture.encode()).decode() in (tmp_path / "whole" / "report.html").read_text()
    # The same again, stopped before the test and gone on with from its own configuration.
    from nas_cli.training import Training

    tests = Training.tested

    def interrupted(self: Training) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "tested", interrupted)
    assert run("nas-evaluate", *arguments, "checkpoint_seconds=0", "hydra.run.dir=parts") == 130
    monkeypatch.setattr(Training, "tested", tests)
    assert run("nas-evaluate", "resume=parts") == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
