"""A search in which every layer has a cell of its own (the option `shared_cells: false` of the DARTS space)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made_up import CPU, OPERATIONS, MadeUp

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.networks.choices import Choices
from nas_cli.networks.genotype import Cell
from nas_cli.spaces.base import SupernetSpace
from nas_cli.spaces.darts import DartsSpace
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder
from nas_cli.strategies.gradient.derivation import SkipLimit, TopK
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.search import GradientSearch
from nas_cli.strategies.gradient.stages import Progressive, Single, Stages
from nas_cli.strategies.gradient.stopping import Epochs, SkipConnects, Stopping, most_skips

TYPES = ("normal_0", "reduce_1", "reduce_2", "normal_3")


def layered() -> DartsSpace:
    return DartsSpace("darts", OPERATIONS, nodes=2, channels=2, cells=4, shared_cells=False)


def search(
    space: SupernetSpace | None = None, stopping: Stopping | None = None, stages: Stages | None = None
) -> GradientSearch:
    shared = SharedImageWeights(space or layered(), MadeUp(), CPU, 0, batch_size=8)
    return GradientSearch(
        *(shared, 0, Softmax(), FirstOrder(), Adam(0.1), TopK(), stages or Single(), stopping or Epochs()), epochs=2
    )


def lines(made: GradientSearch) -> list[dict[str, Any]]:
    found = []
    while not made.done:
        step = made.step()
        found += [dict(step.metrics)] if step.metrics is not None else []
        for trial in step.trials:
            made.tell(trial)
    return found


def test_every_layer_moves_and_is_derived_by_itself() -> None:
    made = search()
    first, last = lines(made)
    assert [name.removeprefix("skips_") for name in last if name.startswith("skips_")] == list(TYPES)
    assert list(last["probabilities"]) == list(TYPES)
    assert len({str(rows) for rows in last["probabilities"].values()}) == 4
    assert all(first["probabilities"][kind] != last["probabilities"][kind] for kind in TYPES)
    architecture = Architecture.from_json(last["architecture"])
    cells = dict(zip(TYPES, map(Cell.parse, map(str, architecture.decisions)), strict=True))
    assert {kind: cell.count("skip_connect") for kind, cell in cells.items()} == {
        kind: last[f"skips_{kind}"] for kind in TYPES
    }
    assert made.best().architecture == architecture


def test_the_normal_cell_with_most_skips_decides() -> None:
    line = {"skips_normal_0": 1, "skips_reduce_1": 4, "skips_normal_3": 2}
    assert most_skips(line) == 2
    assert most_skips({"skips_normal": 3, "skips_reduce": 5}) == 3
    assert most_skips({"skips_recurrent": 3}) == 0
    assert SkipConnects(limit=2, first_epoch=0)([line]) is not None
    assert SkipConnects(limit=3, first_epoch=0)([line]) is None


def test_the_skip_limit_holds_in_every_normal_cell() -> None:
    choices = Choices(((0, 2), (1, 2)), (("skip_connect", "sep_conv_3x3"),) * 2)
    strengths = torch.tensor([[0.9, 0.1], [0.8, 0.2]])
    for kind, skips in (("normal_3", 1), ("reduce_1", 2)):
        (node,) = SkipLimit(limit=1)(kind, choices, strengths)
        assert sum(name == "skip_connect" for name, _ in node) == skips


def test_depths_of_later_stages_are_held_against_the_space_before_any_work() -> None:
    with pytest.raises(InputError, match="each of 4 layers a supernet cannot have 5"):
        search(stages=Progressive(cells=(4, 5), operations=(1.0, 0.5)))
    with pytest.raises(InputError, match="cells=4: a network of nasbench201"):
        search(NasBench201("nasbench201", 2, 3), stages=Progressive(cells=(3, 4), operations=(1.0, 0.5)))


def test_a_search_on_nasbench201_looks_every_epoch_up() -> None:
    space = NasBench201("nasbench201", channels=2, cells=3)
    for line in lines(search(space)):
        architecture = Architecture.from_json(line["architecture"])
        assert line["skips_normal"] == architecture.decisions.count("skip_connect")
        known = space.known(architecture)
        assert {name: line[name] for name in known} == known
