"""The mixed recurrent cell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas_cli.errors import CombinationError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.recurrent import NO_DROPOUT, Dropouts
from nas_cli.networks.recurrent_supernet import RECURRENT, RecurrentSupernet
from nas_cli.seeding import seeded

OPERATIONS = ("none", "tanh", "relu", "sigmoid", "identity")
WORDS, SIZE, BATCH = 9, 4, 6
FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}


def choices(nodes: int, operations: tuple[str, ...] = OPERATIONS) -> dict[str, Choices]:
    edges = all_pairs(1, nodes)
    return {RECURRENT: Choices(edges, (operations,) * len(edges), inputs=1)}


def supernet(
    nodes: int = 3, batch_statistics: bool = True, dropouts: Dropouts = NO_DROPOUT, of: dict[str, Choices] | None = None
) -> RecurrentSupernet:
    with seeded(0, "supernet"):
        network = RecurrentSupernet(of or choices(nodes), WORDS, SIZE, dropouts, batch_statistics).double()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    return network


def tokens(steps: int = 4) -> Tensor:
    return torch.randint(0, WORDS, (steps, BATCH), generator=torch.Generator().manual_seed(0))


def weights(nodes: int = 3, columns: int = 5) -> dict[str, Tensor]:
    rows = nodes * (nodes + 1) // 2
    return {RECURRENT: torch.randn(rows, columns, generator=torch.Generator().manual_seed(1)).double().softmax(dim=1)}


def normalised(x: Tensor) -> Tensor:
    return (x - x.mean(dim=0)) / (x.var(dim=0, unbiased=False) + 1e-5).sqrt()


def by_hand(network: RecurrentSupernet, words: Tensor, rows: Tensor) -> Tensor:
    """Logits from the sheet's formulas, one edge and one activation after the other."""
    model = network.model
    hidden, logits = torch.zeros(BATCH, SIZE).double(), []
    for step in words:
        gate, value = (torch.cat([model.embedding[step], hidden], dim=1) @ model.layer.joint).chunk(2, dim=1)
        states = [normalised(hidden + gate.sigmoid() * (value.tanh() - hidden))]
        row = 0
        for node, matrix in enumerate(model.layer.nodes.matrices, start=1):
            total = torch.zeros(BATCH, SIZE).double()
            for source in range(node):
                gate, value = (states[source] @ matrix).chunk(2, dim=1)
                for column, name in enumerate(OPERATIONS):
                    if name != "none":
                        after = states[source] + gate.sigmoid() * (FUNCTIONS[name](value) - states[source])
                        total = total + rows[row, column] * after
                row += 1
            states.append(normalised(total))
        hidden = sum(states[1:]) / (len(states) - 1)
        logits.append(hidden @ model.embedding.t() + model.bias)
    return torch.stack(logits)


def test_every_step_is_the_formula() -> None:
    network, given = supernet(), weights()
    found = network(tokens(), None, given)
    assert torch.allclose(found.logits, by_hand(network, tokens(), given[RECURRENT]), atol=1e-9)


def test_rows_are_node_by_node_then_by_predecessor() -> None:
    edges = choices(8)[RECURRENT].edges
    assert len(edges) == 36
    assert edges[:6] == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert choices(8)[RECURRENT].shape == (36, 5)


def test_parameters_of_the_sheet() -> None:
    with torch.device("meta"):
        network = RecurrentSupernet(choices(8), 10_000, 300, NO_DROPOUT, batch_statistics=False)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_810_000


def test_slopes_of_a_row_of_alpha_add_up_to_zero() -> None:
    alpha = torch.randn(6, 5, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    supernet()(tokens(), None, {RECURRENT: alpha.softmax(dim=1)}).logits.square().mean().backward()
    assert alpha.grad is not None
    assert torch.allclose(alpha.grad.sum(dim=1), torch.zeros(6).double(), atol=1e-12)
    assert (alpha.grad.abs().sum(dim=1) > 0).all()


def test_one_hot_rows_are_the_chosen_cell_between_normalisations() -> None:
    """A node with one predecessor: BN(s_j + σ(c) (f(h) - s_j))."""
    network = supernet(2)
    rows = torch.tensor(choices(2)[RECURRENT].one_hot(((("relu", 0),), (("tanh", 1),)))).double()
    found = network(tokens(1), None, {RECURRENT: rows}).states[0]
    start = torch.zeros(BATCH, SIZE).double()
    model = network.model
    gate, value = (torch.cat([model.embedding[tokens(1)[0]], start], dim=1) @ model.layer.joint).chunk(2, dim=1)
    state, states = normalised(start + gate.sigmoid() * value.tanh()), []
    for apply, matrix in zip((torch.relu, torch.tanh), model.layer.nodes.matrices, strict=True):
        gate, value = (state @ matrix).chunk(2, dim=1)
        state = normalised(state + gate.sigmoid() * (apply(value) - state))
        states.append(state)
    assert torch.allclose(found, sum(states) / 2, atol=1e-9)


def test_none_contributes_nothing() -> None:
    network = supernet(1)
    only_none = {RECURRENT: torch.tensor([[1.0, 0, 0, 0, 0]]).double()}
    assert not network(tokens(), None, only_none).states.any()


def test_edges_may_have_candidates_of_their_own() -> None:
    """What a stage has left: the same as the whole cell whose dropped candidates weigh 0."""
    left = [("tanh", "none"), ("relu", "identity"), ("sigmoid", "tanh")]
    edges = all_pairs(1, 2)
    few = supernet(of={RECURRENT: Choices(edges, tuple(left), inputs=1)})
    given = weights(2, 2)[RECURRENT]
    whole = torch.zeros(3, 5).double()
    for row, names in enumerate(left):
        for column, name in enumerate(names):
            whole[row, OPERATIONS.index(name)] = given[row, column]
    expected = supernet(2)(tokens(), None, {RECURRENT: whole}).logits
    assert torch.allclose(few(tokens(), None, {RECURRENT: given}).logits, expected, atol=1e-12)


def test_running_statistics_move_in_training_and_serve_in_evaluation() -> None:
    network, given = supernet(batch_statistics=False), weights()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    trained = network.train()(tokens(), None, given).logits
    assert any(not torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert not torch.allclose(network.eval()(tokens(), None, given).logits, trained)


def test_with_batch_statistics_evaluation_is_training_without_dropout() -> None:
    network, given = supernet(batch_statistics=True), weights()
    assert torch.equal(network.train()(tokens(), None, given).logits, network.eval()(tokens(), None, given).logits)
    assert [name for name, _ in network.named_buffers() if "running" in name] == []


def test_weights_of_another_form_are_refused() -> None:
    with pytest.raises(CombinationError, match=r"mixes 5 operations on 6 edges, .* shape \(6, 6\)"):
        supernet()(tokens(), None, weights(3, 6))
