"""The papers' SGD: one step by hand, the annealed rate, the rule that stops early."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from nas_cli.errors import DivergedError, InputError
from nas_cli.problems.examples import Examples, Parts
from nas_cli.problems.perceptron import layer, zero_softmax
from nas_cli.problems.sgd import EarlyStopping, annealed, passes, plain_sgd, scores, stopped_early


def examples(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return Examples(torch.rand(count, 4, generator=generator, dtype=dtype), torch.arange(count) % 3)


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    generator = torch.Generator().manual_seed(5)
    hidden, output = (torch.randn(*shape, generator=generator) for shape in ((6, 4), (3, 6)))
    return nn.Sequential(layer(hidden), nn.Tanh(), layer(output)).to(dtype)


def test_a_step_is_the_gradient_of_mean_cross_entropy_and_penalty_by_hand() -> None:
    """Back-propagation written out in numpy, in double precision."""
    model, data = network(torch.float64), examples(7, dtype=torch.float64)
    before = [parameter.detach().numpy().copy() for parameter in model.parameters()]
    rate, penalty = 0.3, 0.05
    next(passes(model, plain_sgd(model, rate, penalty), data, batch_size=7, seed=0))
    w, b, v, c = before
    x, wanted = data.inputs.numpy(), np.eye(3)[data.labels.numpy()]
    hidden = np.tanh(x @ w.T + b)
    exponentials = np.exp(hidden @ v.T + c)
    output_error = (exponentials / exponentials.sum(axis=1, keepdims=True) - wanted) / len(x)
    hidden_error = (output_error @ v) * (1 - hidden**2)
    slopes = [
        hidden_error.T @ x + penalty * w,
        hidden_error.sum(axis=0),  # biases have no penalty
        output_error.T @ hidden + penalty * v,
        output_error.sum(axis=0),
    ]
    for parameter, start, slope in zip(model.parameters(), before, slopes, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), start - rate * slope, rtol=1e-12, atol=1e-14)


def test_the_annealed_rate() -> None:
    """Equation of section 2.2: ε_t = t0 ε0 / max(t, t0)."""
    factor = annealed(300)
    assert [factor(step) for step in (1, 299, 300, 301, 600, 3000)] == pytest.approx([1, 1, 1, 300 / 301, 0.5, 0.1])


def test_every_update_has_its_own_rate_counted_from_one() -> None:
    model, asked = network(), []

    def factor(step: int) -> float:
        asked.append(step)
        return 1 / step

    optimizer = plain_sgd(model, 0.4, 0.0)
    epochs = passes(model, optimizer, examples(7), batch_size=3, seed=0, factor=factor)
    assert list(islice(epochs, 2)) == [1, 2]
    assert asked[::2] == [1, 2, 3, 4, 5, 6]  # two groups: weights and biases
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4 / 6] * 2)


def test_the_same_seed_gives_the_same_network_and_global_generators_are_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()

    def trained(seed: int) -> torch.Tensor:
        model = network()
        list(islice(passes(model, plain_sgd(model, 0.5, 0.0), examples(20), 3, seed), 3))
        return model[0].weight.detach()

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    model = network()
    with torch.no_grad():
        model[2].bias.fill_(torch.nan)
    with pytest.raises(DivergedError, match="training loss in epoch 0"):
        next(passes(model, plain_sgd(model, 0.1, 0.0), examples(6), 3, 0))
    with pytest.raises(DivergedError):
        scores(model, Parts(examples(6), examples(6), examples(6), 3))


@pytest.mark.parametrize(
    ("epoch", "best_epoch", "ends"),
    [
        (99, 1, False),  # the paper's least
        (100, 49, True),
        (100, 50, False),  # not before the half
        (400, 199, True),
        (400, 200, False),
        (1000, 1000, True),  # the paper's most
    ],
)
def test_it_stops_once_the_best_is_from_before_the_half(epoch: int, best_epoch: int, ends: bool) -> None:
    assert EarlyStopping(100, 1000).ends(epoch, best_epoch) is ends


def test_a_new_best_may_have_to_be_significant() -> None:
    plain, significant = EarlyStopping(1, 2), EarlyStopping(1, 2, significant=True)
    margin = 0.5 * (0.1 * 0.9 / 200) ** 0.5  # ½ √(e (1 - e) / n) at e = 0.1
    for better, is_better in ((0.9 + 0.99 * margin, False), (0.9 + 1.01 * margin, True)):
        assert plain.is_better(better, 0.9, 200)
        assert significant.is_better(better, 0.9, 200) is is_better
    assert not plain.is_better(0.9, 0.9, 200)
    assert significant.is_better(0.0, None, 200)


def test_the_best_epoch_is_what_counts() -> None:
    """Biases that are set by hand make epochs of known accuracy."""
    model = zero_softmax(4, 3)
    valid = Examples(torch.zeros(4, 4), torch.tensor([0, 0, 1, 2]))
    test = Examples(torch.zeros(2, 4), torch.tensor([0, 1]))
    parts = Parts(valid, valid, test, 3)

    def epochs() -> Iterator[int]:
        for epoch, winner in enumerate((1, 0, 2, 1, 2, 1), start=1):
            with torch.no_grad():
                model.bias.copy_(torch.eye(3)[winner])
            yield epoch

    found = stopped_early(epochs(), model, parts, EarlyStopping(3, 100))
    assert (found["best_epoch"], found["epochs"]) == (2, 5)  # 2 < 5 / 2
    assert (found["valid_accuracy"], found["test_accuracy"]) == (0.5, 0.5)


def test_a_budget_may_end_it_sooner() -> None:
    rule = EarlyStopping(20, 100)
    assert [rule.within(budget) for budget in (None, 50, 7.4, 0.1)] == [
        rule,
        EarlyStopping(20, 50),
        EarlyStopping(7, 7),
        EarlyStopping(1, 1),
    ]
    with pytest.raises(InputError, match="min_epochs=5 must be between 1 and max_epochs=4"):
        EarlyStopping(5, 4)
