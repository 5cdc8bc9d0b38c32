"""Contrastive divergence against its formulas, written out in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_cli.errors import DivergedError
from nas_cli.problems.rbm import Rbm, pretrain
from nas_cli.seeding import derive


def machine(visible: int = 5, hidden: int = 3) -> Rbm:
    generator = torch.Generator().manual_seed(0)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return Rbm(*(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_a_step_is_cd_1_by_hand() -> None:
    rbm = machine()
    w, a, b = (part.numpy().copy() for part in (rbm.weights, rbm.visible_biases, rbm.hidden_biases))
    v0 = np.random.default_rng(1).random((4, 5))
    rbm.step(torch.from_numpy(v0), 0.2, torch.Generator().manual_seed(7))

    def drawn(probabilities: np.ndarray) -> np.ndarray:
        return torch.bernoulli(torch.from_numpy(probabilities), generator=generator).numpy()

    generator = torch.Generator().manual_seed(7)  # the same draws, in the order of the algorithm
    h0 = sigmoid(v0 @ w + b)
    v1 = drawn(sigmoid(drawn(h0) @ w.T + a))
    h1 = sigmoid(v1 @ w + b)
    assert set(np.unique(v1)) <= {0.0, 1.0}
    np.testing.assert_allclose(rbm.weights.numpy(), w + 0.2 * (v0.T @ h0 - v1.T @ h1), rtol=1e-12)
    np.testing.assert_allclose(rbm.visible_biases.numpy(), a + 0.2 * (v0 - v1).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(rbm.hidden_biases.numpy(), b + 0.2 * (h0 - h1).sum(axis=0), rtol=1e-12)


def test_rates_and_batches_of_pretraining(monkeypatch: pytest.MonkeyPatch) -> None:
    """ε = lr · min(1, start / (epoch + 1)), epochs from 0; batches of 100, sums over what is left in the last."""
    seen = []
    monkeypatch.setattr(Rbm, "step", lambda self, data, rate, generator: seen.append((len(data), rate)))
    pretrain(machine(), torch.zeros(250, 5, dtype=torch.float64), 4, 0.6, 2, False, seed=0)
    assert [size for size, _ in seen] == [100, 100, 50] * 4
    assert [rate for _, rate in seen[::3]] == pytest.approx([0.6, 0.6, 0.4, 0.3])


@pytest.mark.parametrize("sample", [False, True])
def test_sampled_data_are_zeros_and_ones_anew_each_time(monkeypatch: pytest.MonkeyPatch, sample: bool) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(Rbm, "step", lambda self, data, rate, generator: seen.append(data))
    inputs = torch.tensor([[-0.5, 0.0, 0.5, 1.0, 3.0]], dtype=torch.float64).repeat(60, 1)
    pretrain(machine(), inputs, 2, 0.1, 10, sample, seed=0)
    if not sample:
        assert torch.equal(seen[0], inputs)
        return
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert seen[0][:, [0, 1, 3, 4]].mean(dim=0).tolist() == [0, 0, 1, 1]  # cut to [0, 1]
    assert not torch.equal(seen[0], seen[1])


def test_it_learns_a_pattern() -> None:
    """What it has learnt it gives back: the reconstruction error falls."""
    inputs = torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 0, 1, 1]], dtype=torch.float64).repeat(50, 1)

    def error(rbm: Rbm) -> float:
        return float((rbm.visible(rbm.hidden(inputs)) - inputs).square().mean())

    rbm = machine()
    before = error(rbm)
    pretrain(rbm, inputs, 100, 0.01, 1000, False, seed=derive(0, "test"))
    assert error(rbm) < before / 5


def test_weights_that_are_not_finite_are_told() -> None:
    rbm = machine()
    rbm.weights[0, 0] = torch.inf
    with pytest.raises(DivergedError, match="Boltzmann"):
        pretrain(rbm, torch.zeros(3, 5, dtype=torch.float64), 0, 0.1, 1, False, seed=0)
