"""Loss, perplexity and the penalties of language models."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nas_cli.data.sequences import columns
from nas_cli.errors import DivergedError
from nas_cli.language import WordTally, activation_penalty, cross_entropy, judge
from nas_cli.networks.recurrent import Prediction


def prediction(logits: Tensor, states: Tensor | None = None) -> Prediction:
    states = torch.zeros(*logits.shape[:2], 2) if states is None else states
    return Prediction(logits, states[-1], states, 2 * states)


def test_guessing_has_the_perplexity_of_the_vocabulary() -> None:
    targets = torch.zeros(3, 2, dtype=torch.int64)
    loss = cross_entropy(prediction(torch.zeros(3, 2, 7)), targets)
    tally = WordTally.of(loss, targets)
    tally += WordTally.of(loss, targets)
    assert tally.words == 12
    metrics = tally.metrics("valid")
    assert metrics["valid_loss"] == pytest.approx(math.log(7))
    assert metrics["valid_perplexity"] == pytest.approx(7, rel=1e-6)


def test_windows_count_by_their_words() -> None:
    tally = WordTally(2.0, 2)
    tally += WordTally(9.0, 3)
    assert tally.metrics("x")["x_loss"] == pytest.approx(2.2)


def test_a_loss_beyond_all_numbers_still_has_a_perplexity() -> None:
    assert math.isfinite(WordTally(1e4, 1).metrics("x")["x_perplexity"])


def test_the_penalties() -> None:
    states = torch.tensor([[[1.0, 2.0]], [[1.0, 5.0]], [[2.0, 5.0]]])
    found = prediction(torch.zeros(3, 1, 4), states)
    # Differences (0, 3) and (1, 0): mean square 2.5. The decoder reads twice the states: mean square 40.
    assert float(activation_penalty(found, 0.0, 0.1)) == pytest.approx(0.25)
    assert float(activation_penalty(found, 0.1, 0.0)) == pytest.approx(4.0)
    assert activation_penalty(found, 0.0, 0.0) == 0.0
    one = prediction(torch.zeros(1, 1, 4), states[:1])
    assert activation_penalty(one, 0.0, 0.1) == 0.0  # a window of one word has no differences


def test_a_text_is_judged_in_order_with_the_state_carried_on() -> None:
    seen: list[tuple[int, object]] = []

    def predict(tokens: Tensor, hidden: Tensor | None) -> Prediction:
        seen.append((len(tokens), None if hidden is None else int(hidden.sum())))
        # The state counts the windows.
        states = torch.full((len(tokens), 2, 1), 0.5 + (0 if hidden is None else hidden[0, 0]))
        return prediction(torch.zeros(len(tokens), 2, 9), states)

    tally = judge(predict, columns(torch.arange(18) % 9, 2, torch.device("cpu")), 3, "the loss")
    assert tally.words == 16
    assert tally.metrics("x")["x_perplexity"] == pytest.approx(9, rel=1e-6)
    assert seen == [(3, None), (3, 1), (2, 2)]


def test_a_bad_loss_ends_it() -> None:
    def predict(tokens: Tensor, hidden: Tensor | None) -> Prediction:
        return prediction(torch.full((len(tokens), 2, 9), math.nan))

    with pytest.raises(DivergedError, match="the loss of nobody is nan"):
        judge(predict, columns(torch.zeros(8, dtype=torch.int64), 2, torch.device("cpu")), 3, "the loss of nobody")
