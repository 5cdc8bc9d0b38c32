"""log π of single sequences against the rules of the controller written down again, one step after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from token_spaces import macro, recurrent
from torch import Tensor

from nas_cli.strategies.black_box.controller.heads import Attention, Softmax
from nas_cli.strategies.black_box.controller.policy import Controller, Policy

SHAPED = Controller(hidden=6, initial=1.5, temperature=2.0, tanh=1.5)


class ByHand:
    """One LSTM, step by step, and the logits of ENAS: first over the temperature, then bounded."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.softmaxes = [head for head in policy.heads if isinstance(head, Softmax)]
        (self.attention,) = (head for head in policy.heads if isinstance(head, Attention))
        self.h = self.c = torch.zeros(6, dtype=torch.float64)
        self.total = 0.0

    def step(self, x: Tensor) -> Tensor:
        w_x, w_h, b_x, b_h = (p.detach() for p in self.policy.cells[0].parameters())
        i, f, g, o = (w_x @ x + b_x + w_h @ self.h + b_h).chunk(4)
        self.c = torch.sigmoid(f) * self.c + torch.sigmoid(i) * torch.tanh(g)
        self.h = torch.sigmoid(o) * torch.tanh(self.c)
        return self.h

    def choose(self, logits: Tensor, value: int) -> None:
        self.total += float(F.log_softmax(1.5 * torch.tanh(logits / 2.0), 0)[value])

    def score(self, anchor: Tensor, h: Tensor) -> Tensor:
        w_prev, w_curr, v = self.attention.previous.weight, self.attention.current.weight, self.attention.v
        return (v @ torch.tanh(w_prev @ anchor + w_curr @ h)).detach()


@pytest.mark.parametrize("sequence", [[0, 0, 1, 0, 2], [3, 0, 0, 1, 1], [2, 0, 3, 1, 3]])
def test_a_recurrent_cell(sequence: list[int]) -> None:
    """A step, an activation; then pointer and activation, the pointer's step being an anchor for later ones."""
    policy = SHAPED.policy(recurrent(3), 0).double()
    hand = ByHand(policy)
    (act,) = hand.softmaxes
    g = policy.first.detach()
    anchors = [hand.step(g)]
    x = g  # a step without a choice is followed by g
    values = iter(sequence)
    for node in range(3):
        if node > 0:
            h = hand.step(x)
            chosen = next(values)
            hand.choose(torch.stack([hand.score(anchor, h) for anchor in anchors]), chosen)
            x = anchors[chosen]
            anchors.append(h)
        h = hand.step(x)
        chosen = next(values)
        hand.choose((act.logits.weight @ h).detach(), chosen)
        x = act.embedding.weight[chosen].detach()
    assert float(policy.score(torch.tensor([sequence])).log_prob.detach()) == pytest.approx(hand.total, abs=1e-12)


@pytest.mark.parametrize("sequence", [[0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0], [1, 1, 1, 0, 0, 1]])
def test_a_macro_network(sequence: list[int]) -> None:
    """An operation, then which earlier layers, each by itself; the next input is their sum over 1 + their number."""
    policy = SHAPED.policy(macro(3, 2), 1).double()
    hand = ByHand(policy)
    (op,) = hand.softmaxes
    x = g = policy.first.detach()
    anchors: list[Tensor] = []
    values = iter(sequence)
    for layer in range(3):
        h = hand.step(x)
        chosen = next(values)
        hand.choose((op.logits.weight @ h).detach(), chosen)
        h = hand.step(op.embedding.weight[chosen].detach())
        taken = []
        for anchor in anchors:
            wanted = next(values)
            q = 1.5 * torch.tanh(hand.score(anchor, h) / 2.0)
            p = float(torch.sigmoid(q))
            hand.total += float(torch.tensor(p if wanted else 1 - p, dtype=torch.float64).log())
            taken += [anchor] if wanted else []
        x = g if layer == 0 else sum(taken, torch.zeros_like(g)) / (1 + len(taken))
        anchors.append(h)
    assert float(policy.score(torch.tensor([sequence])).log_prob.detach()) == pytest.approx(hand.total, abs=1e-12)
