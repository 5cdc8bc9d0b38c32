"""The tree cell against the sheet's numbers, and its unrolling."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.networks.recurrent import INITIAL, NO_DROPOUT, LanguageModel
from nas_cli.networks.recurrent_tree import TreeCell, TreeLayer
from nas_cli.networks.recurrent_tree_genotype import TreeGenotype
from nas_cli.report.drawing import draw_cells
from nas_cli.seeding import seeded
from nas_cli.spaces.recurrent_tree import genotype_of

LECTURE = "add tanh | mul relu | mul sigmoid ; inject add relu ; c_out 1 ; c_in 0"
WORDS, SIZE = 11, 6


def step(text: str, x: float, h: float, c: float, weights: tuple[float, ...] = ()) -> tuple[float, float]:
    """(h_t, c_t) of a cell of size 1; weights: of x and of h for each leaf in turn, all 1 where none are given."""
    genotype = TreeGenotype.parse(text)
    cell = TreeCell(genotype, 1).double()
    pairs = weights or (1.0,) * (2 * genotype.base)
    with torch.no_grad():
        cell.from_input.copy_(torch.tensor([pairs[::2]], dtype=torch.float64))
        cell.from_hidden.copy_(torch.tensor([pairs[1::2]], dtype=torch.float64))
        given = [torch.tensor([[value]], dtype=torch.float64) for value in (x, h, c)]
        hidden, memory = cell(given[0] @ cell.from_input, given[1], given[2], None)
    return hidden.item(), memory.item()


@pytest.mark.parametrize(
    ("x", "h", "c", "weights", "expected"),
    [
        (0.8, 0.5, 0.2, (0.5, -0.2, 1.0, 1.5), (0.5731678026189032, 0.6)),
        (0.5, -0.25, 0.3, (1.0, 2.0, -2.0, 4.0), (0.574442516811659, 1.0)),
    ],
)
def test_the_lecture_s_cell(
    x: float, h: float, c: float, weights: tuple[float, ...], expected: tuple[float, float]
) -> None:
    assert step(LECTURE, x, h, c, weights) == pytest.approx(expected, abs=1e-12)


def test_the_published_cell() -> None:
    text = str(genotype_of(published.load("rnn_nascell")))
    assert step(text, 0.5, 0.25, 0.1) == pytest.approx((0.278004084507, 0.343156282567), abs=1e-12)


@pytest.mark.parametrize(
    ("node", "before"),
    [
        (0, math.log(0.679178699175 / (1 - 0.679178699175))),
        (1, 0.75),
        (3, 0.125),
        (4, math.atanh(0.635148952387)),
        (8, math.atanh(0.469465121690)),
        (9, math.atanh(0.666366415753)),
        (10, math.atanh(0.406473648300)),
        (11, math.log(0.788236427516 / (1 - 0.788236427516))),
        (13, math.atanh(0.832033942393)),
        (14, math.atanh(0.278004084507)),
    ],
)
def test_every_node_of_the_published_cell(node: int, before: float) -> None:
    """The sheet's values are those behind the activation; as cell state the one before it is seen."""
    text = str(genotype_of(published.load("rnn_nascell"))).replace("c_out 12", f"c_out {node}")
    assert step(text, 0.5, 0.25, 0.1)[1] == pytest.approx(before, abs=1e-10)


def test_injected_and_read_at_one_node_the_state_is_the_node_s_own() -> None:
    hidden, memory = step("add tanh ; inject mul sigmoid ; c_out 0 ; c_in 0", 0.5, 0.25, 0.1)
    assert memory == pytest.approx(0.75)  # x + h, neither activated nor injected into
    assert hidden == pytest.approx(1 / (1 + math.exp(-0.1 * math.tanh(0.75))))


def test_what_is_read_above_the_injection_has_it_in() -> None:
    assert step("add identity | add identity | mul tanh ; inject add identity ; c_out 2 ; c_in 1", 1.0, 1.0, 3.0) == (
        pytest.approx(math.tanh(2 * 5)),
        10,
    )


@pytest.mark.parametrize("base", [1, 2, 3, 5, 8])
def test_node_b_plus_i_joins_nodes_2i_and_2i_plus_1(base: int) -> None:
    nodes = " | ".join(["add identity"] * (2 * base - 1))
    text = f"{nodes} ; inject add identity ; c_out {2 * base - 2} ; c_in 0"
    # Every leaf is counted once, as is the injection.
    assert step(text, 1.0, 0.0, 100.0, tuple(w for leaf in range(base) for w in (2.0**leaf, 0.0)))[0] == (
        2**base - 1 + 100
    )
    children = [child for node in range(base, 2 * base - 1) for child in TreeGenotype.parse(text).children(node)]
    assert children == list(range(2 * base - 2))


def test_leaves_have_matrices_of_their_own_and_nothing_else_has_weights() -> None:
    cell = TreeCell(genotype_of(published.load("rnn_nascell")), SIZE)
    assert sum(parameter.numel() for parameter in cell.parameters()) == 16 * SIZE**2
    assert INITIAL * 0.9 < cell.from_input.abs().max() <= INITIAL


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("add swoosh ; inject add tanh ; c_out 0 ; c_in 0", "swoosh: no such activation"),
        ("ad tanh ; inject add tanh ; c_out 0 ; c_in 0", r"ad: no such combination \(did you mean add\?\)"),
        ("add tanh ; inject sub tanh ; c_out 0 ; c_in 0", "sub: no such combination"),
    ],
)
def test_unknown_steps_are_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        TreeCell(TreeGenotype.parse(text), 1)


def model(text: str = LECTURE, layers: int = 2, **options: object) -> LanguageModel:
    with seeded(0, "model"):
        cells = nn.ModuleList(TreeCell(TreeGenotype.parse(text), SIZE) for _ in range(layers))
        network = LanguageModel(cells, WORDS, SIZE, dataclasses.replace(NO_DROPOUT, **options), TreeLayer)  # type: ignore[arg-type]
        for parameter in network.parameters():  # large enough for what is nonlinear to show
            nn.init.normal_(parameter)
    return network


def tokens(steps: int = 5, batch: int = 3) -> Tensor:
    return torch.randint(0, WORDS, (steps, batch), generator=torch.Generator().manual_seed(0))


def test_every_step_is_the_formula() -> None:
    """A second derivation: one step after the other, one matrix for each leaf, two layers."""
    network = model().double()
    words = tokens()
    states = [(torch.zeros(3, SIZE).double(), torch.zeros(3, SIZE).double()) for _ in range(2)]
    expected = []
    for word in words:
        x = network.embedding[word]
        for layer, cell in enumerate(network.layer.cells.children()):
            hidden, memory = states[layer]
            u0, u1 = cell.from_input[:, :SIZE], cell.from_input[:, SIZE:]
            v0, v1 = cell.from_hidden[:, :SIZE], cell.from_hidden[:, SIZE:]
            a0 = torch.relu(torch.tanh(x @ u0 + hidden @ v0) + memory)
            product = (x @ u1) * (hidden @ v1)
            x = torch.sigmoid(a0 * torch.relu(product))
            states[layer] = (x, product)
        expected.append(x @ network.embedding.t() + network.bias)
    found = network(words)
    assert torch.allclose(found.logits, torch.stack(expected), atol=1e-12)
    assert found.states.shape == (5, 3, SIZE)
    assert found.hidden.shape == (4, 3, SIZE)
    flat = [part for state in states for part in state]
    assert torch.allclose(found.hidden, torch.stack(flat), atol=1e-12)


def test_two_windows_are_one_where_both_states_are_carried_on() -> None:
    network, words = model().eval(), tokens(7)
    whole = network(words)
    first = network(words[:3])
    second = network(words[3:], first.hidden)
    assert torch.allclose(torch.cat([first.logits, second.logits]), whole.logits, atol=1e-5)
    without = first.hidden.clone()
    without[1::2] = 0  # the cell states
    assert not torch.allclose(network(words[3:], without).logits, second.logits)


@pytest.mark.parametrize("field", ["output", "hidden", "input", "embedding", "word"])
def test_each_dropout_has_an_effect_in_training_only(field: str) -> None:
    network = model(**{field: 0.5})
    plain = model()(tokens()).logits
    with seeded(1, "step"):
        dropped = network.train()(tokens()).logits
    assert not torch.allclose(dropped, plain)
    assert torch.allclose(network.eval()(tokens()).logits, plain)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("add tanh", "must be like"),
        ("add tanh | mul relu ; inject add relu ; c_out 0 ; c_in 0", "odd number of nodes"),
        ("add tanh ; inject add relu ; c_out 1 ; c_in 0", "c_out of a tree must be a node, 0 to 0, not 1"),
        ("add tanh ; inject add relu ; c_out 0 ; c_in 3", "c_in of a tree must be a node"),
        ("add tanh ; inject add relu ; c_out 0", "must be like"),
        ("add  tanh ; inject add relu ; c_out 0 ; c_in 0", "must be like"),
    ],
)
def test_a_malformed_text_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        TreeGenotype.parse(text)


def test_the_drawing_of_the_lecture_s_cell() -> None:
    graph = TreeGenotype.parse(LECTURE).graph("recurrent tree")
    assert graph.inputs == ("x_{t}", "h_{t-1}", "c_{t-1}")
    assert graph.nodes == ("0", "inject", "1", "2", "c_{t}")
    assert graph.edges == (
        (0, 3, "add tanh"),
        (1, 3, "add tanh"),
        (3, 4, "add relu"),
        (2, 4, "add relu"),
        (0, 5, "mul relu"),
        (1, 5, "mul relu"),
        (4, 6, "mul sigmoid"),
        (5, 6, "mul sigmoid"),
        (5, 7, "before relu"),
    )
    assert graph.outputs == (6, 7)
    drawing = draw_cells([graph])
    assert ">inject<" in drawing
    assert drawing.count("mul sigmoid") == 2


def test_a_state_read_where_it_is_injected_is_drawn_before_the_injection() -> None:
    graph = TreeGenotype.parse("add tanh ; inject mul relu ; c_out 0 ; c_in 0").graph("recurrent tree")
    assert graph.nodes == ("0", "inject", "c_{t}")
    assert graph.edges[-1] == (3, 5, "before tanh")
    assert graph.outputs == (4, 5)
