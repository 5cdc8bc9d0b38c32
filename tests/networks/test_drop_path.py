"""Drop-path: per sample, unbiased, off in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from nas_cli.errors import InputError
from nas_cli.networks.drop_path import DropPath, drop_path, set_drop_path
from nas_cli.seeding import seeded


def test_each_sample_is_dropped_or_scaled_as_a_whole() -> None:
    with seeded(0):
        x = torch.rand(64, 3, 4, 4) + 0.5
        output = drop_path(x, 0.25)
    ratio = (output / x).flatten(1)
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio))
    kept = ratio[:, 0] > 0
    assert torch.allclose(ratio[kept], torch.tensor(4 / 3))
    assert 0 < kept.sum() < 64


def test_mean_is_that_of_the_input() -> None:
    with seeded(1):
        output = drop_path(torch.ones(40_000, 1), 0.3)
    # The deviation of one draw is sqrt(p / (1 - p)) = 0.65: five standard errors are 0.0164.
    assert abs(output.mean().item() - 1) < 0.0164


def test_probability_zero_returns_the_input_and_draws_nothing() -> None:
    x = torch.rand(4, 2)
    state = torch.get_rng_state()
    assert drop_path(x, 0.0) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_same_seed_drops_the_same_samples() -> None:
    x = torch.ones(32, 1)
    outputs = []
    for seed in (5, 5, 6):
        with seeded(seed):
            outputs.append(drop_path(x, 0.5))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_module_is_the_identity_in_evaluation_mode() -> None:
    module, x = DropPath(0.9), torch.ones(64, 1)
    assert module.eval()(x) is x
    with seeded(0):
        assert not torch.equal(module.train()(x), x)


def test_dropped_samples_get_no_gradient() -> None:
    x = torch.ones(32, 2, requires_grad=True)
    with seeded(0):
        output = drop_path(x, 0.5)
    output.sum().backward()
    assert torch.equal(x.grad, output.detach())  # type: ignore[arg-type]


@pytest.mark.parametrize("probability", [-0.1, 1.0, 2.0, float("nan")])
def test_other_probabilities_are_refused(probability: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        drop_path(torch.ones(1), probability)
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        set_drop_path(nn.Sequential(), probability)


def test_setting_reaches_nested_modules() -> None:
    network = nn.Sequential(DropPath(), nn.Sequential(nn.ReLU(), DropPath(0.1)))
    set_drop_path(network, 0.2)
    assert [module.probability for module in network.modules() if isinstance(module, DropPath)] == [0.2, 0.2]


def test_probability_is_no_state_of_the_network() -> None:
    assert not DropPath(0.3).state_dict()


def test_half_precision_stays_half() -> None:
    with seeded(0):
        assert DropPath(0.3)(torch.ones(4, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_compiled_network_is_not_compiled_anew_for_each_probability() -> None:
    counter = CompileCounter()
    module, x = DropPath(), torch.ones(8, 1)
    compiled = torch.compile(module, backend=counter, fullgraph=True)
    with seeded(0):
        for step in range(1, 12):
            module.probability = step / 20
            compiled(x)
    assert counter.frame_count == 1
