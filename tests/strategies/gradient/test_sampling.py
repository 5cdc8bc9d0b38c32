"""Mixings that draw (stochastic sheet, section 1.7; differentiable sheet, section 7)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient import sampling
from nas_cli.strategies.gradient.mixing import Progress
from nas_cli.strategies.gradient.sampling import Gumbel, Sampled, concrete, log_density, straight_through

ALPHA = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
CHOICES = {"normal": Choices(all_pairs(2, 4), (("a", "b", "c"),) * 14)}


def noise(uniform: Tensor) -> Tensor:
    return -(-uniform.log()).log()


HALF = noise(torch.full((3,), 0.5, dtype=torch.float64))


class TestConcrete:
    @pytest.mark.parametrize(
        ("temperature", "expected"), [(1.0, [1 / 6, 1 / 3, 1 / 2]), (0.5, [1 / 14, 4 / 14, 9 / 14])]
    )
    def test_known_samples(self, temperature: float, expected: list[float]) -> None:
        assert concrete(ALPHA.log(), HALF, temperature).tolist() == pytest.approx(expected)

    def test_a_low_temperature_is_one_hot(self) -> None:
        assert concrete(ALPHA.log(), HALF, 0.03)[2] > 0.99999

    def test_the_search_gradient_is_the_papers(self) -> None:
        logits = ALPHA.log().requires_grad_()
        costs = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
        sample = concrete(logits, HALF, 0.5)
        (slope,) = torch.autograd.grad(sample @ costs, logits)
        assert slope.tolist() == pytest.approx([-0.0102041, -1.1836735, 1.1938776], abs=1e-7)
        z = sample.detach()
        assert torch.allclose(slope, z * (costs - z @ costs) / 0.5)
        assert slope.sum().item() == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("temperature", [10.0, 0.1])
    def test_the_largest_entry_has_the_frequencies_of_alpha(self, temperature: float) -> None:
        with seeded(0):
            logits = ALPHA.log().expand(60_000, 3)
            drawn = concrete(logits, sampling.gumbel_like(logits), temperature).argmax(dim=1)
        share = torch.bincount(drawn, minlength=3) / 60_000
        assert share.tolist() == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=0.01)

    @pytest.mark.parametrize(("temperature", "expected"), [(1.0, 0.8829836), (0.5, -0.5881118)])
    def test_known_log_densities(self, temperature: float, expected: float) -> None:
        sample = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
        assert log_density(ALPHA.log(), sample, temperature).item() == pytest.approx(expected, abs=1e-7)

    def test_equal_alphas(self) -> None:
        zeros = torch.zeros(3, dtype=torch.float64)
        centre, aside = torch.full_like(zeros, 1 / 3), torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
        assert log_density(zeros, centre, 1.0).item() == pytest.approx(math.log(2), abs=1e-7)
        assert log_density(zeros, aside, 1.0).item() == pytest.approx(0.7001382, abs=1e-7)
        assert log_density(zeros[:2], centre[:2] * 1.5, 1.0).item() == pytest.approx(0, abs=1e-12)

    def test_a_density_of_two_operations_integrates_to_one(self) -> None:
        points = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
        samples = torch.stack([points, 1 - points], dim=1)
        logits = torch.tensor([2.0, 0.5], dtype=torch.float64).log().expand(len(points), 2)
        assert log_density(logits, samples, 1.0).exp().mean().item() == pytest.approx(1, abs=1e-3)

    def test_the_score(self) -> None:
        logits = ALPHA.log().requires_grad_()
        sample = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
        (score,) = torch.autograd.grad(log_density(logits, sample, 0.5), logits)
        powers = ALPHA * sample**-0.5
        assert torch.allclose(score, 1 - 3 * powers / powers.sum())

    def test_score_and_reparametrisation_have_one_expectation(self) -> None:
        costs = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
        logits = ALPHA.log().expand(400_000, 3).clone().requires_grad_()
        with seeded(1):
            sample = concrete(logits, sampling.gumbel_like(logits), 0.5)
        reparametrised = torch.autograd.grad((sample @ costs).sum(), logits, retain_graph=True)[0]
        loss = (log_density(logits, sample.detach(), 0.5) * (sample.detach() @ costs)).sum()
        scored = torch.autograd.grad(loss, logits)[0]
        assert reparametrised.mean(0).tolist() == pytest.approx([0.0338, -0.5322, 0.4984], abs=5e-3)
        assert scored.mean(0).tolist() == pytest.approx([0.0338, -0.5322, 0.4984], abs=1e-2)
        assert (scored.var(0) > reparametrised.var(0)).all()


class TestGumbel:
    @pytest.mark.parametrize(("epoch", "expected"), [(0, 1.0), (75, 0.515), (149, 0.0364667), (150, 0.03)])
    def test_the_temperature_falls_linearly(self, epoch: int, expected: float) -> None:
        mixing = Gumbel()
        mixing.set_progress(Progress(epoch, 150))
        assert mixing.temperature == pytest.approx(expected, abs=1e-7)

    def test_parameters_begin_at_one(self) -> None:
        with seeded(0):
            rows = Gumbel().initial(CHOICES)["normal"]
        assert rows.shape == (14, 3)
        assert rows.mean().item() == pytest.approx(1, abs=0.01)
        assert rows.std().item() == pytest.approx(0.01, rel=0.3)

    def test_weights_are_samples_and_draw_from_the_current_generator(self) -> None:
        mixing = Gumbel()
        parameters = {"normal": torch.zeros(14, 3, requires_grad=True)}
        with seeded(0):
            first, second = mixing.weights(parameters)["normal"], mixing.weights(parameters)["normal"]
        with seeded(0):
            again = mixing.weights(parameters)["normal"]
        assert torch.equal(first, again)
        assert not torch.equal(first, second)
        assert torch.allclose(first.sum(dim=1), torch.ones(14))
        assert torch.allclose(mixing.probabilities(parameters)["normal"], torch.full((14, 3), 1 / 3))

    @pytest.mark.parametrize(("temperature", "final"), [(1.0, 0.0), (0.5, 1.0)])
    def test_ranges(self, temperature: float, final: float) -> None:
        with pytest.raises(InputError, match="final_temperature must be above 0 and at most"):
            Gumbel(temperature, final)


class TestSampled:
    ALPHAS = torch.tensor([0.1, 0.2, -0.3, 0.0, 0.5], dtype=torch.float64)
    UNIFORM = torch.tensor([0.1, 0.7, 0.4, 0.5, 0.2], dtype=torch.float64)

    @pytest.mark.parametrize(
        ("temperature", "expected"),
        [
            (1.0, [0.066848, 0.476939, 0.112604, 0.200933, 0.142676]),
            (10.0, [0.182957, 0.222683, 0.192751, 0.204242, 0.197367]),
        ],
    )
    def test_known_relaxed_weights(self, temperature: float, expected: list[float]) -> None:
        found = concrete(self.ALPHAS.log_softmax(0), noise(self.UNIFORM), temperature)
        assert found.tolist() == pytest.approx(expected, abs=1e-6)
        assert straight_through(found).tolist() == [0, 1, 0, 0, 0]

    def test_the_gradient_is_that_of_the_drawn_operation_alone(self) -> None:
        alphas = self.ALPHAS.clone().requires_grad_()
        weights = straight_through(concrete(alphas.log_softmax(0), noise(self.UNIFORM), 1.0))
        output = weights @ torch.arange(1.0, 6.0, dtype=torch.float64)  # operation k gives k + 1
        assert output.item() == 2
        (slope,) = torch.autograd.grad(output, alphas)
        expected = [-0.063765, 0.498936, -0.107411, -0.191665, -0.136095]
        assert slope.tolist() == pytest.approx(expected, abs=1e-6)
        assert slope.sum().item() == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize(("epoch", "expected"), [(0, 10.0), (249, 0.1)])
    def test_the_temperature_reaches_its_last_value(self, epoch: int, expected: float) -> None:
        mixing = Sampled()
        mixing.set_progress(Progress(epoch, 250))
        assert mixing.temperature == pytest.approx(expected)

    def test_a_supernet_is_judged_with_the_likeliest_operations(self) -> None:
        rows = torch.tensor([[0.0, 1.0, 0.5], [3.0, 1.0, 2.0]])
        assert Sampled().validation_weights({"normal": rows})["normal"].tolist() == [[0, 1, 0], [1, 0, 0]]

    def test_the_log_probability_is_of_what_was_drawn(self) -> None:
        rows = torch.tensor([[0.0, 1.0, 0.5]])
        drawn = {"normal": torch.tensor([[0.0, 0.0, 1.0]])}
        found = Sampled().log_probability({"normal": rows}, drawn)["normal"]
        assert torch.allclose(found, rows.log_softmax(1)[:, 2])
