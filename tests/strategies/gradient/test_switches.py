"""The mixing of switches: its parameters, what stands beside them, and what cells are derived from."""

from __future__ import annotations

import pytest
import torch
from made_up import space
from torch import Tensor

from nas_cli.errors import CombinationError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.supernet import by_cell
from nas_cli.strategies.gradient.switches import ALIVE, OMEGA, VARIANCE, Switches

CHOICES = space(cells=5).choices


def values(mixing: Switches | None = None) -> tuple[Switches, dict[str, Tensor]]:
    mixing = mixing or Switches()
    return mixing, {**mixing.initial(CHOICES), **mixing.fixed(CHOICES)}


def test_all_begin_at_1_but_none() -> None:
    """Three normal and two reduction cells, each with five edges of four operations and a switch of their own."""
    mixing, found = values()
    assert set(found) == {f"{prefix}{kind}" for prefix in ("", VARIANCE, OMEGA, ALIVE) for kind in ("normal", "reduce")}
    assert {kind: rows.shape for kind, rows in mixing.initial(CHOICES).items()} == {
        "normal": (3, 5, 5),
        "reduce": (2, 5, 5),
    }
    for kind in CHOICES:
        assert (found[kind] == 1).all()
        assert (found[OMEGA + kind] == 1).all()
        assert torch.equal(found[VARIANCE + kind], torch.tensor([[0.0, 1, 1, 1, 1]] * 5))
        assert torch.equal(mixing.weights(found)[kind][0], torch.tensor([[0.0, 1, 1, 1, 1]] * 5))


@pytest.mark.parametrize(("cells", "repeats"), [(3, (1, 2)), (4, (2, 2)), (8, (6, 2)), (20, (18, 2)), (1, (0, 1))])
def test_how_many_cells_of_a_type_there_are(cells: int, repeats: tuple[int, int]) -> None:
    choices = space(cells=cells).choices
    assert (choices["normal"].repeats, choices["reduce"].repeats) == repeats


def test_what_is_off_weighs_nothing_and_gets_no_gradient() -> None:
    mixing, found = values()
    found[ALIVE + "normal"][1, 2] = 0
    found["normal"].requires_grad_()
    weights = mixing.weights(found)["normal"]
    assert (weights[:, 1, 2] == 0).all()
    weights.sum().backward()  # type: ignore[no-untyped-call]
    slope = found["normal"].grad
    assert slope is not None
    assert torch.equal(slope, found[ALIVE + "normal"].expand(3, -1, -1))


def test_strengths_and_probabilities() -> None:
    mixing, found = values()
    found[VARIANCE + "normal"][0] = torch.tensor([0.0, 3.0, 1.0, 0.05, 2.0])
    found[ALIVE + "normal"][0, 3] = 0
    found[ALIVE + "normal"][1] = 0
    rows = mixing.probabilities(found)["normal"]
    assert rows[0].tolist() == pytest.approx([0, 0.75, 0.25, 0])
    assert rows[1].tolist() == [0, 0, 0, 0]
    assert rows[2].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert mixing.strengths(found)["normal"][0].tolist() == pytest.approx([0, 3, 1, 0.05])


def test_derived_cells_as_weights() -> None:
    cell = ((("skip_connect", 0), ("sep_conv_3x3", 0)), (("max_pool_3x3", 2),))
    found = Switches().discrete_weights(CHOICES, {"normal": cell})["normal"]
    assert found.tolist() == [[0, 0, 1, 1, 1], [0] * 5, [0] * 5, [0] * 5, [0, 1, 0, 0, 1]]


def test_some_edges_only() -> None:
    mixing, found = values(Switches(edges={"normal": [[0, 2], [2, 3]], "reduce": [[1, 2]]}))
    assert found[ALIVE + "normal"].tolist() == [[0, 1, 1, 1, 1], *[[0] * 5] * 3, [0, 1, 1, 1, 1]]
    assert found[ALIVE + "reduce"].sum() == 4
    assert (mixing.strengths(found)["normal"][1:4] == 0).all()


def test_an_edge_on_which_only_none_competes_is_off() -> None:
    choices = {"normal": Choices(all_pairs(2, 1), (("none", "none"),) * 2)}
    assert Switches().fixed(choices)[ALIVE + "normal"].sum() == 0


def test_a_supernet_of_another_depth_is_refused() -> None:
    mixing, found = values()
    with pytest.raises(CombinationError, match="switches for 3 normal cells and 1 of these in the supernet"):
        list(by_cell(CHOICES, mixing.weights(found), ["normal", "reduce", "reduce"]))
