"""The controller: an LSTM that writes a space's tokens one after the other, and what it holds of a sequence.

A sequence has a number for every decision: which of the decision's values it has; -1 where it is not to be made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_cli.errors import InputError, require
from nas_cli.seeding import seeded
from nas_cli.spaces.base import Space
from nas_cli.spaces.tokens import Pointer, values_of
from nas_cli.strategies.black_box.controller.heads import (
    Attention,
    Softmax,
    drawn,
    each_or_not,
    entropy,
    one_of,
    shaped,
)
from nas_cli.strategies.black_box.controller.steps import Step, condition_of, heads_of, place_of, steps_of

INACTIVE = -1
LARGEST = 1e30  # weight that is begun with, or step of one; torch fails on what float32 cannot hold

#: The places of some decisions and the log-probabilities of their values, (n, places, values) -> the values' numbers.
Choose = Callable[[slice, Tensor], Tensor]


@dataclass(frozen=True)
class Controller:
    """An LSTM policy as an option: `strategy/controller=lstm`.

    Args:
        hidden: size of its state and of its inputs. Zoph & Le: 35; NASNet: 100; ENAS: 64.
        layers: of the LSTM. Zoph & Le: 2.
        initial: all weights start uniform in ± this. Zoph & Le: 0.08; NASNet and ENAS: 0.1.
        temperature: logits are divided by it; null: by 1. ENAS: 5 for recurrent cells.
        tanh: c of c · tanh(logits), which bounds them; null: they are not. ENAS: 2.5 for recurrent cells.
    """

    hidden: int = 64
    layers: int = 1
    initial: float = 0.1
    temperature: float | None = None
    tanh: float | None = None

    def __post_init__(self) -> None:
        require(self.hidden >= 1, f"hidden must be at least 1, not {self.hidden}")
        require(self.layers >= 1, f"layers must be at least 1, not {self.layers}")
        require(0 <= self.initial <= LARGEST, f"initial must be between 0 and {LARGEST:g}, not {self.initial}")
        for name in ("temperature", "tanh"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"{name} must be above 0 and finite, or null, not {value}")

    def policy(self, space: Space, seed: int, pinned: str | None = None) -> Policy:
        """A fresh policy over a space's tokens, which does not make the decision that is called `pinned`."""
        with seeded(seed, "controller"):
            return Policy(space, self, pinned)


@dataclass(frozen=True)
class Score:
    """Of sequences: log π(a), and the sum of H(π(·|a_<t)) over the tokens, in nats.

    Shape:
        log_prob, entropy: (n,)
    """

    log_prob: Tensor
    entropy: Tensor


@dataclass
class _Tape:
    """What the LSTM has written so far.

    Shape:
        sequences: (n, decisions), as far as they are written
        states: (n, hidden) of each layer, and of its cells
        inputs: (n, hidden), of the next step
        anchors: (n, hidden) each; keys: the same, by head
        log_prob, entropy: (n,), sums over the tokens
    """

    sequences: Tensor
    states: list[tuple[Tensor, Tensor]]
    inputs: Tensor
    anchors: list[Tensor]
    keys: dict[Attention, list[Tensor]]
    log_prob: Tensor
    entropy: Tensor

    @property
    def top(self) -> Tensor:
        return self.states[-1][0]


class Policy(nn.Module):
    """An autoregressive LSTM: log π(a) = Σ_t log π(a_t | a_<t).

    Where a token's decisions are not to be made, the sequence goes on as if it had no such token; an anchor of it is
    the state as it was. A subset makes up to as many decisions as there are anchors, and is left out where it makes
    none. A step that decides nothing is always taken.

    Args:
        space: its tokens are written.
        controller: sizes, and the shape of the logits.
        pinned: name of a decision that is given, not made.

    Raises `CombinationError` where tokens and decisions do not fit, `InputError` for an unknown decision.
    Reference: Zoph & Le, ICLR 2017, arXiv:1611.01578, sec. 3; what follows an anchor, and the learned first input, as
    in the code of Pham et al., ENAS, ICML 2018, arXiv:1802.03268.
    """

    def __init__(self, space: Space, controller: Controller, pinned: str | None = None) -> None:
        super().__init__()
        self.options = controller
        decisions = space.decisions
        self.pinned = None if pinned is None else place_of(space, pinned)
        hidden = controller.hidden
        self.steps = steps_of(space, hidden, self.pinned)
        self.heads = heads_of(self.steps)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(controller.layers))
        self.first = nn.Parameter(torch.empty(hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -controller.initial, controller.initial)
        self.sizes = torch.tensor([len(values_of(space.name, decision)) for decision in decisions])
        self.conditions = [condition_of(space, place) for place in range(len(decisions))]

    @torch.no_grad()
    def sample(self, uniforms: Tensor, given: int = INACTIVE) -> tuple[Tensor, Score]:
        """Sequences as a function of uniform numbers, one for each decision.

        Args:
            given: the number of the pinned decision's value.
        Shape:
            uniforms: (n, decisions), float64 in [0, 1)
            returns: (n, decisions)
        """
        sequences = torch.full(uniforms.shape, INACTIVE)
        if self.pinned is not None:
            sequences[:, self.pinned] = given
        score = self._write(sequences, lambda places, log_p: drawn(log_p, uniforms[:, places]))
        return sequences, score

    def score(self, sequences: Tensor) -> Score:
        """What the policy holds of sequences now, with gradients.

        Shape:
            sequences: (n, decisions)
        Raises `InputError` for what no sequence can be.
        """
        fits = sequences.shape[1] == len(self.sizes)
        if fits and bool(((sequences >= INACTIVE) & (sequences < self.sizes)).all()):
            written = sequences.clone()
            score = self._write(written, lambda places, _: sequences[:, places].clamp(min=0))
            if torch.equal(written, sequences):
                return score
        raise InputError("no sequence of this space: it has values that are not allowed, or decisions too few or many")

    def _write(self, sequences: Tensor, choose: Choose) -> Score:
        """Write every token for n sequences at once, and fill them in as they come to be."""
        start = self.first.expand(len(sequences), -1)
        nothing, none = torch.zeros_like(start), torch.zeros_like(start[:, 0])
        keys: dict[Attention, list[Tensor]] = {head: [] for head in self.heads if isinstance(head, Attention)}
        tape = _Tape(sequences, [(nothing, nothing)] * len(self.cells), start, [], keys, none, none)
        for step in self.steps:
            live = self._live(sequences, step.places)
            if step.pinned:
                sequences[:, step.places] = _where(live, sequences[:, step.places], INACTIVE)
            elif live is not None and not bool(live.any()):
                sequences[:, step.places] = INACTIVE
            else:
                self._write_one(step, live, tape, choose)
            if step.token.anchor:
                tape.anchors.append(tape.top)
                for head, of_head in keys.items():
                    of_head.append(head.previous(tape.top))
        return Score(tape.log_prob, tape.entropy)

    def _write_one(self, step: Step, live: Tensor | None, tape: _Tape, choose: Choose) -> None:
        """Write a token where one of its decisions is to be made.

        Shape:
            live: (n, places), which of them are; None: all
        """
        writes = None if live is None or bool(live.any(1).all()) else live.any(1, keepdim=True)
        tape.states = self._advanced(tape, writes)
        log_p = self._log_probabilities(step, tape)
        chosen = None
        if log_p is not None:
            chosen = choose(step.places, log_p)
            tape.sequences[:, step.places] = _where(live, chosen, INACTIVE)
            of_chosen = log_p.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
            tape.log_prob = tape.log_prob + _where(live, of_chosen, 0.0).sum(1)
            tape.entropy = tape.entropy + _where(live, entropy(log_p), 0.0).sum(1)
        tape.inputs = _where(writes, self._following(step, chosen, live, tape), tape.inputs)

    def _live(self, sequences: Tensor, places: slice) -> Tensor | None:
        """Which of some decisions are to be made, (n, places); None: all, always."""
        conditions = self.conditions[places]
        if all(condition is None for condition in conditions):
            return None
        columns = [
            torch.ones(len(sequences), dtype=torch.bool)
            if condition is None
            else condition[1][sequences[:, condition[0]]]
            for condition in conditions
        ]
        return torch.stack(columns, 1)

    def _advanced(self, tape: _Tape, writes: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """The states after one more step; as they were where nothing is written."""
        below, states = tape.inputs, []
        for cell, (hidden, memory) in zip(self.cells, tape.states, strict=True):
            after = cell(below, (hidden, memory))
            states.append((_where(writes, after[0], hidden), _where(writes, after[1], memory)))
            below = states[-1][0]
        return states

    def _log_probabilities(self, step: Step, tape: _Tape) -> Tensor | None:
        """Of the values of a token's decisions, (n, places, values); None where it decides nothing."""
        if step.head is None:
            return None
        if isinstance(step.head, Softmax):
            return one_of(self._shaped(step.head(tape.top, step.outputs)))
        scores = self._shaped(step.head(torch.stack(tape.keys[step.head], 1), tape.top))
        return one_of(scores.unsqueeze(1)) if isinstance(step.token, Pointer) else each_or_not(scores)

    def _shaped(self, logits: Tensor) -> Tensor:
        return shaped(logits, self.options.temperature, self.options.tanh)

    def _following(self, step: Step, chosen: Tensor | None, live: Tensor | None, tape: _Tape) -> Tensor:
        """The next input, (n, hidden)."""
        if chosen is None:
            return self.first.expand(len(tape.sequences), -1)
        if isinstance(step.head, Softmax):
            embedded: Tensor = step.head.embedding(chosen[:, 0] if step.outputs is None else step.outputs[chosen[:, 0]])
            return embedded
        anchors = torch.stack(tape.anchors, 1)
        if isinstance(step.token, Pointer):
            return anchors[torch.arange(len(anchors)), chosen[:, 0]]
        taken = _where(live, chosen, 0).to(anchors.dtype).unsqueeze(2)
        return (taken * anchors).sum(1) / (1 + taken.sum(1))


def _where(condition: Tensor | None, this: Tensor, other: Tensor | float) -> Tensor:
    """`this` where a condition holds; None: everywhere."""
    return this if condition is None else torch.where(condition, this, other)
