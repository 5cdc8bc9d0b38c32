"""The recurrent cell against the sheet's numbers, and the language model round it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.networks.recurrent import (
    INITIAL,
    NO_DROPOUT,
    Dropouts,
    LanguageModel,
    RecurrentLayer,
    RecurrentNodes,
    dropout_mask,
)
from nas_cli.networks.recurrent_genotype import RecurrentGenotype
from nas_cli.seeding import seeded
from nas_cli.spaces.darts_recurrent import genotype_of

WORDS, SIZE = 11, 6


def model(text: str = "tanh:0 relu:1 sigmoid:0", dropouts: Dropouts = NO_DROPOUT) -> LanguageModel:
    with seeded(0, "model"):
        network = LanguageModel(RecurrentNodes(RecurrentGenotype.parse(text), SIZE), WORDS, SIZE, dropouts)
        for parameter in network.parameters():  # large enough for what is nonlinear to show
            nn.init.normal_(parameter)
    return network


def tokens(steps: int = 5, batch: int = 3) -> Tensor:
    return torch.randint(0, WORDS, (steps, batch), generator=torch.Generator().manual_seed(0))


def test_the_cell_of_the_sheet() -> None:
    """differentiable.md, 2.6-12."""
    layer = RecurrentLayer(RecurrentNodes(RecurrentGenotype.parse("tanh:0 relu:1"), 1), 1, NO_DROPOUT).double()
    with torch.no_grad():
        layer.joint.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
        for matrix in layer.nodes.matrices:
            matrix.copy_(torch.tensor([[0.5, -0.5]]))
    found = layer(torch.ones(1, 1, 1).double(), torch.full((1, 1), 0.5).double())
    assert found.item() == pytest.approx(0.05591458, abs=1e-7)
    for mean, value in (((1,), 0.07502174), ((2,), 0.03680742)):
        layer.nodes.mean = mean
        state = layer(torch.ones(1, 1, 1).double(), torch.full((1, 1), 0.5).double())
        assert state.item() == pytest.approx(value, abs=1e-7)


def test_every_step_is_the_formula() -> None:
    """A second derivation: one step after the other, the joint matrix not split."""
    network = model().double()
    words = tokens()
    expected, hidden = [], torch.zeros(3, SIZE).double()
    for step in words:
        x = network.embedding[step]
        gate, value = (torch.cat([x, hidden], dim=1) @ network.layer.joint).chunk(2, dim=1)
        states = [hidden + torch.sigmoid(gate) * (torch.tanh(value) - hidden)]
        for source, apply, matrix in zip(
            (0, 1, 0), (torch.tanh, torch.relu, torch.sigmoid), network.layer.nodes.matrices, strict=True
        ):
            gate, value = (states[source] @ matrix).chunk(2, dim=1)
            states.append(states[source] + torch.sigmoid(gate) * (apply(value) - states[source]))
        hidden = sum(states[1:]) / 3
        expected.append(hidden @ network.embedding.t() + network.bias)
    found = network(words)
    assert torch.allclose(found.logits, torch.stack(expected), atol=1e-12)
    assert torch.equal(found.hidden, found.states[-1])
    assert torch.allclose(found.hidden, hidden, atol=1e-12)


def test_two_windows_are_one_where_the_state_is_carried_on() -> None:
    network, words = model().eval(), tokens(7)
    whole = network(words)
    first = network(words[:3])
    second = network(words[3:], first.hidden)
    assert torch.allclose(torch.cat([first.logits, second.logits]), whole.logits, atol=1e-5)


def test_the_mean_is_of_the_chosen_nodes() -> None:
    parts = [model(f"tanh:0 relu:1 sigmoid:0 ; mean {node}")(tokens()[:1]).states for node in (1, 3)]
    both = model("tanh:0 relu:1 sigmoid:0 ; mean 1,3")(tokens()[:1]).states
    assert torch.allclose(both, (parts[0] + parts[1]) / 2, atol=1e-6)


def parameters(text: str, words: int, size: int) -> int:
    with torch.device("meta"):
        nodes = RecurrentNodes(RecurrentGenotype.parse(text), size)
        network = LanguageModel(nodes, words, size, NO_DROPOUT)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("words", "size", "expected"), [(10_000, 850, 22_960_000), (33_278, 700, 33_127_878)])
def test_parameters_of_the_sheet(words: int, size: int, expected: int) -> None:
    for name in ("rnn_darts_v1", "rnn_darts_v2"):
        assert parameters(str(genotype_of(published.load(name))), words, size) == expected


def test_all_weights_begin_uniform_and_the_bias_at_zero() -> None:
    with seeded(0, "model"):
        network = LanguageModel(RecurrentNodes(RecurrentGenotype.parse("tanh:0"), 40), 50, 40, NO_DROPOUT)
    for name, parameter in network.named_parameters():
        if name == "bias":
            assert not parameter.any()
        else:
            assert INITIAL * 0.98 < parameter.abs().max() <= INITIAL
            assert parameter.std().item() == pytest.approx(INITIAL / 3**0.5, rel=0.05)


def test_an_unknown_activation_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"relux: no such activation \(did you mean relu\?\); there are tanh, relu"):
        RecurrentNodes(RecurrentGenotype.parse("relux:0"), 2)


def test_a_mask_has_mean_one() -> None:
    with seeded(0, "mask"):
        mask = dropout_mask(torch.empty(100, 100), 0.75)
    assert set(mask.unique().tolist()) == {0.0, 4.0}
    assert mask.mean() == pytest.approx(1, abs=0.06)
    assert not mask.requires_grad


class Recorder(nn.Module):
    """In the place of nodes: passes the state through and keeps the masks that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[Tensor | None] = []

    def forward(self, start: Tensor, mask: Tensor | None) -> Tensor:
        self.masks.append(mask)
        return start


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Dropouts)])
def test_each_dropout_has_an_effect_in_training_only(field: str) -> None:
    network = model(dropouts=dataclasses.replace(NO_DROPOUT, **{field: 0.5}))
    plain = model()(tokens()).logits
    with seeded(1, "step"):
        dropped = network.train()(tokens()).logits
    assert not torch.allclose(dropped, plain)
    assert torch.allclose(network.eval()(tokens()).logits, plain)


def test_the_masks_are_drawn_once_for_a_window() -> None:
    recorder = Recorder()
    with seeded(0, "step"):
        network = LanguageModel(recorder, WORDS, SIZE, Dropouts(0.5, 0.5, 0.0, 0.0, 0.0))
        found = network(tokens(6))
        network(tokens(6))
    first, second = recorder.masks[:6], recorder.masks[6:]
    assert first[0] is not None
    assert first[0].shape == (3, SIZE)
    assert all(mask is first[0] for mask in first)
    assert not torch.equal(second[0], first[0])  # type: ignore[arg-type]
    # The decoder's input lacks the same units at every step.
    lacking = found.dropped == 0
    assert lacking.any()
    assert all(torch.equal(step, lacking[0]) for step in lacking)


def test_a_dropped_word_is_dropped_wherever_it_stands() -> None:
    """With no memory (a gate that is shut), equal words give equal states, dropped or not."""
    network = model("identity:0", dataclasses.replace(NO_DROPOUT, word=0.5))
    with torch.no_grad(), seeded(0, "step"):
        network.layer.joint[SIZE:].zero_()
        words = torch.zeros(4, 3, dtype=torch.int64)
        found = [network(words).states[0] for _ in range(40)]
    assert all(torch.equal(states[0], states[1]) and torch.equal(states[1], states[2]) for states in found)
    silent = sum(not states.any() for states in found)
    assert 10 <= silent <= 30
