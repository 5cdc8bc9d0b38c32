"""The networks of `mlp`, `dbn` and `cuda_convnet` before training, and the normalisation against a direct loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_cli.problems import dbn
from nas_cli.problems.cuda_convnet import ResponseNorm, build, optimizer_of
from nas_cli.problems.examples import Examples, Parts
from nas_cli.problems.mlp import hidden_layer
from nas_cli.problems.perceptron import drawn, scale


def parts(features: int = 100, classes: int = 4) -> Parts:
    each = Examples(torch.rand(50, features, generator=torch.Generator().manual_seed(0)), torch.arange(50) % classes)
    return Parts(each, each, each, classes)


def test_scales_of_weights() -> None:
    assert scale(None, 100, 50) == pytest.approx(math.sqrt(6 / 150))
    assert scale(0.5, 100, 50) == pytest.approx(0.05)


@pytest.mark.parametrize(("distribution", "sd"), [("uniform", 0.3 / math.sqrt(3)), ("normal", 0.3)])
def test_distributions_of_weights(distribution: str, sd: float) -> None:
    weights = drawn(distribution, 0.3, 200, 300, torch.Generator().manual_seed(0))
    assert weights.shape == (300, 200)
    assert float(weights.std()) == pytest.approx(sd, rel=0.02)
    assert float(weights.mean()) == pytest.approx(0, abs=0.005)
    assert (float(weights.abs().max()) <= 0.3) == (distribution == "uniform")


def test_the_mlp_starts_with_output_weights_and_biases_of_0() -> None:
    chosen = {"weights": "uniform", "weight_multiple": 2.0, "units": 30, "nonlinearity": "logistic"}
    network = hidden_layer(parts(), chosen, seed=0)
    hidden, nonlinearity, output = network
    assert isinstance(nonlinearity, nn.Sigmoid)
    assert hidden.weight.shape == (30, 100)
    assert 0.19 < float(hidden.weight.detach().abs().max()) <= 0.2  # 2 / √100
    assert float(hidden.bias.detach().abs().max()) == 0
    assert float(output.weight.detach().abs().max()) == float(output.bias.detach().abs().max()) == 0
    assert torch.equal(network(parts().train.inputs), torch.zeros(50, 4))


def test_the_dbn_stacks_what_each_layer_has_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(dbn, "pretrain", lambda rbm, inputs, *rest: seen.append((inputs, rest[:-1])))
    own = {
        "units": 130,
        "weights": "normal",
        "weight_scale": "glorot",
        "weight_multiple": None,
        "cd_epochs": 3,
        "cd_learning_rate": 0.1,
        "cd_anneal_start": 10,
        "cd_sample": True,
    }
    chosen = {f"{name}_{number}": value for number in (1, 2) for name, value in own.items()}
    chosen["units_2"] = 140
    network = dbn.stacked(parts(), {**chosen, "layers": 2}, seed=0)
    assert [type(module).__name__ for module in network] == ["Linear", "Sigmoid", "Linear", "Sigmoid", "Linear"]
    assert [tuple(module.weight.shape) for module in network[::2]] == [(130, 100), (140, 130), (4, 140)]
    assert float(network[4].weight.detach().abs().max()) == 0
    first, second = (inputs for inputs, _ in seen)
    assert torch.equal(first, parts().train.inputs)
    torch.testing.assert_close(second, network[:2](first).detach())  # the layer above learns the one below
    assert [rest for _, rest in seen] == [(3, 0.1, 10, True)] * 2


@pytest.mark.parametrize("size", [1, 3, 5])
def test_response_normalisation_against_a_loop(size: int) -> None:
    """u / (1 + α · mean of u² over N x N of the same map)^β, with zeros beyond the border."""
    u = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ResponseNorm(size, 0.7, 0.75)(u).numpy()
    values, half = u.numpy(), size // 2
    for place in np.ndindex(*values.shape):
        image, channel, row, column = place
        rows, columns = slice(max(row - half, 0), row + half + 1), slice(max(column - half, 0), column + half + 1)
        mean = (values[image, channel, rows, columns] ** 2).sum() / size**2
        assert found[place] == pytest.approx(values[place] / (1 + 0.7 * mean) ** 0.75, rel=1e-12)


NORM = ResponseNorm(3, 5e-5, 0.75)


@pytest.mark.parametrize(("side", "sides"), [(32, [16, 8, 4]), (28, [14, 7, 3]), (8, [4, 2, 1]), (9, [4, 2, 1])])
def test_pools_round_up(side: int, sides: list[int]) -> None:
    """32 -> 16 -> 8 -> 4: ⌈(32 - 3) / 2⌉ + 1 = 16, where rounding down has 15."""
    network = build((1, side, side), 10, NORM, seed=0)
    x, found = torch.zeros(2, 1, side, side), []
    for module in network:
        x = module(x)
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            found.append(x.shape[-1])
    assert found == sides
    assert x.shape == (2, 10)


def test_the_convnet_is_the_18_percent_configuration() -> None:
    network = build((3, 32, 32), 10, NORM, seed=0)
    assert [type(module).__name__ for module in network] == [
        *("Conv2d", "MaxPool2d", "ReLU", "ResponseNorm"),
        *("Conv2d", "ReLU", "AvgPool2d", "ResponseNorm"),
        *("Conv2d", "ReLU", "AvgPool2d", "Flatten", "Linear"),
    ]
    layers = [module for module in network if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (32, 3, 5, 5),
        (32, 32, 5, 5),
        (64, 32, 5, 5),
        (10, 64 * 4 * 4),
    ]
    assert [float(layer.weight.detach().std()) for layer in layers] == pytest.approx([1e-4, 0.01, 0.01, 0.01], rel=0.05)
    assert all(float(layer.bias.detach().abs().max()) == 0 for layer in layers)


def test_its_biases_learn_twice_as_fast_and_have_no_penalty() -> None:
    network = build((1, 8, 8), 10, NORM, seed=0)
    chosen = {"learning_rate": 0.001, "l2_conv_1": 0.1, "l2_conv_2": 0.2, "l2_conv_3": 0.3, "l2_softmax": 1.0}
    groups = optimizer_of(network, chosen).param_groups
    assert [(group["lr"], group["weight_decay"], group["momentum"]) for group in groups] == [
        (0.001, 0.1, 0.9),
        (0.001, 0.2, 0.9),
        (0.001, 0.3, 0.9),
        (0.001, 1.0, 0.9),
        (0.002, 0, 0.9),
    ]
    assert [parameter.dim() for parameter in groups[-1]["params"]] == [1] * 4
