"""log π of single sequences against the rules of the controller written down again, one step after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from token_spaces import Tokens, macro, recurrent
from torch import Tensor

from nas_cli.spaces.decisions import Categorical
from nas_cli.spaces.tokens import Choice
from nas_cli.strategies.black_box.controller.heads import Attention, Softmax, each_or_not
from nas_cli.strategies.black_box.controller.policy import Controller, Policy

SHAPED = Controller(hidden=6, initial=1.5, temperature=2.0, tanh=1.5)


class ByHand:
    """One LSTM, step by step, and the logits of ENAS: first over the temperature, then bounded."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.softmaxes = [head for head in policy.heads if isinstance(head, Softmax)]
        self.attentions = [head for head in policy.heads if isinstance(head, Attention)]
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
        (head,) = self.attentions
        w_prev, w_curr, v = head.previous.weight, head.current.weight, head.v
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


@pytest.mark.parametrize("sequence", [[0, 2], [1, 0], [1, 3]])
def test_a_mask_that_leaves_the_first_output_out(sequence: list[int]) -> None:
    """The second and the fourth of four: what follows a value is the embedding of its output."""
    space = Tokens(
        [Categorical("a", ("x", "y")), Categorical("b", (0, 1, 2, 3))], [Choice("all", 4, (1, 3)), Choice("all", 4)]
    )
    policy = SHAPED.policy(space, 2).double()
    hand = ByHand(policy)
    (head,) = hand.softmaxes
    h = hand.step(policy.first.detach())
    hand.choose((head.logits.weight @ h).detach()[[1, 3]], sequence[0])
    h = hand.step(head.embedding.weight[(1, 3)[sequence[0]]].detach())
    hand.choose((head.logits.weight @ h).detach(), sequence[1])
    assert float(policy.score(torch.tensor([sequence])).log_prob.detach()) == pytest.approx(hand.total, abs=1e-12)


def test_the_probability_of_a_skip() -> None:
    """Eq. 5 of Zoph & Le in numbers."""
    head = Attention(2).double()
    with torch.no_grad():
        head.v.copy_(torch.tensor([1.0, -2.0]))
        head.previous.weight.copy_(torch.tensor([[0.5, 0.0], [0.0, 1.0]]))
        head.current.weight.copy_(torch.tensor([[0.0, 0.5], [0.25, 0.25]]))
        anchor, state = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
        leave, take = each_or_not(head(head.previous(anchor).unsqueeze(1), state))[0, 0].exp().tolist()
    assert take == pytest.approx(0.5675241535085198, abs=1e-15)
    assert leave == pytest.approx(1 - take, abs=1e-15)
