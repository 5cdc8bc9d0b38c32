"""Hyper-parameters of the three-layer convolutional network of cuda-convnet."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.problems.examples import ImageProblem, Parts
from nas_cli.problems.sgd import passes, scores
from nas_cli.seeding import derive
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real
from nas_cli.spaces.learning import epochs_within

BATCH_SIZE, MOMENTUM = 128, 0.9
PIXEL_RANGE = 255.0  # the rates and initial weights are for pixels from 0 to 255, less their mean
PENALTIES = ("l2_conv_1", "l2_conv_2", "l2_conv_3", "l2_softmax")


class CudaConvnet(ImageProblem):
    """The "18 %" network of cuda-convnet, which Snoek's nine hyper-parameters train.

    The expert's values, on CIFAR-10, are learning rate 0.001, penalties 0.004 (three times) and 1, and for the
    response normalisation size 3, scale 5e-5 and power 0.75. A budget, in epochs, caps the epochs.

    Args:
        name: the name under which it was configured.
        max_epochs: upper end of the range of epochs.
    Differs from the paper: it does not say its ranges; these are ours.
    Reference: Snoek, Larochelle, Adams, Practical Bayesian optimization of machine learning algorithms, NIPS 25, 2012,
        section 4.4; Krizhevsky, cuda-convnet, 2011, layers "18 %".
    """

    def __init__(self, name: str, max_epochs: int = 30) -> None:
        super().__init__(name)
        require(max_epochs > 1, f"max_epochs must be above 1, not {max_epochs}")
        self.max_epochs = max_epochs

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return (
            Integer("epochs", 1, self.max_epochs, log=True),
            Real("learning_rate", 1e-5, 1e-1, log=True),
            *(Real(name, 1e-5, 1.0, log=True) for name in PENALTIES),
            Categorical("norm_size", (1, 3, 5, 7, 9)),
            Real("norm_scale", 1e-6, 1.0, log=True),
            Real("norm_power", 0.1, 2.0),
        )

    def learn(self, architecture: Architecture, data: Parts, seed: int, budget: float | None) -> Mapping[str, float]:
        chosen = self.values(architecture)
        mean = data.train.inputs.mean(dim=0)
        parts = data.with_inputs(lambda images: PIXEL_RANGE * (images - mean))
        norm = ResponseNorm(chosen["norm_size"], chosen["norm_scale"], chosen["norm_power"])
        network = build(tuple(mean.shape), parts.classes, norm, derive(seed, "weights")).to(parts.device)
        optimizer = optimizer_of(network, chosen)
        epochs = epochs_within(budget, chosen["epochs"])
        for _ in islice(passes(network, optimizer, parts.train, BATCH_SIZE, seed), epochs):
            pass
        return scores(network, parts)


class ResponseNorm(nn.Module):
    """u / (1 + scale · mean u²)^power, the mean over the size × size neighbours in the same map, 0 beyond its border.

    Args:
        size: odd.
    Shape:
        x: (batch, channels, height, width); returns the same
    """

    def __init__(self, size: int, scale: float, power: float) -> None:
        super().__init__()
        self.size, self.scale, self.power = size, scale, power

    def forward(self, x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x.square(), self.size, stride=1, padding=self.size // 2)
        return x / (1 + self.scale * mean) ** self.power


def build(shape: tuple[int, ...], classes: int, norm: ResponseNorm, seed: int) -> nn.Sequential:
    """The network before training: Gaussian weights, biases of 0.

    Args:
        shape: (channels, height, width) of the images.
        norm: it stands in two places and has no parameters.
        seed: of the weights.
    """
    generator = torch.Generator().manual_seed(seed)

    def pool(kind: type[nn.MaxPool2d] | type[nn.AvgPool2d]) -> nn.Module:
        return kind(3, stride=2, ceil_mode=True)  # rounds up: what hangs over the border is cut off

    def conv(inputs: int, outputs: int, sd: float) -> nn.Module:
        return _gaussian(nn.Conv2d(inputs, outputs, 5, padding=2, device="meta"), sd, generator)

    body = nn.Sequential(
        *(conv(shape[0], 32, 1e-4), pool(nn.MaxPool2d), nn.ReLU(), norm),
        *(conv(32, 32, 0.01), nn.ReLU(), pool(nn.AvgPool2d), norm),
        *(conv(32, 64, 0.01), nn.ReLU(), pool(nn.AvgPool2d), nn.Flatten()),
    )
    with torch.no_grad():
        features = body(torch.zeros(1, *shape)).shape[1]
    return body.append(_gaussian(nn.Linear(features, classes, device="meta"), 0.01, generator))


def optimizer_of(network: nn.Sequential, chosen: Mapping[str, Any]) -> torch.optim.SGD:
    """SGD with momentum; biases learn twice as fast and are not decayed."""
    rate = chosen["learning_rate"]
    layers = [module for module in network if isinstance(module, nn.Conv2d | nn.Linear)]
    groups: list[dict[str, Any]] = [
        {"params": [layer.weight], "weight_decay": chosen[penalty]}
        for layer, penalty in zip(layers, PENALTIES, strict=True)
    ]
    groups.append({"params": [layer.bias for layer in layers], "lr": 2 * rate})
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM)


def _gaussian(module: nn.Module, sd: float, generator: torch.Generator) -> nn.Module:
    """The module with weights from N(0, sd²) and biases of 0, made without torch's own generator."""
    module.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, sd, generator=generator)
            else:
                parameter.zero_()
    return module
