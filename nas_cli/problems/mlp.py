"""Hyper-parameters of a neural network with one hidden layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.problems.examples import ImageProblem, Parts
from nas_cli.problems.perceptron import DISTRIBUTIONS, HEURISTICS, drawn, layer, scale, zero_softmax
from nas_cli.problems.preprocessing import principal, standardised
from nas_cli.problems.sgd import EarlyStopping, annealed, passes, plain_sgd, stopped_early
from nas_cli.seeding import derive
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real, When

FEWEST_UNITS = 18


class Mlp(ImageProblem):
    """One hidden layer between preprocessed pixels and a softmax, trained by SGD until validation stops it.

    The `seed` needs no use of its own: everything random is seeded by all that was decided.

    Args:
        name: the name under which it was configured.
        min_epochs, max_epochs: of every training. Paper: 100 and 1000.
        max_units: upper end of the range of hidden units. Paper: 1024.
    Reference: Bergstra & Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012, section 2.2.
    """

    def __init__(self, name: str, min_epochs: int = 5, max_epochs: int = 50, max_units: int = 1024) -> None:
        super().__init__(name)
        self.stopping = EarlyStopping(min_epochs, max_epochs)
        require(max_units > FEWEST_UNITS, f"max_units must be above {FEWEST_UNITS}, not {max_units}")
        self.max_units = max_units

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return (
            Categorical("preprocessing", ("none", "normalise", "pca")),
            Real("pca_energy", 0.5, 1.0, when=When("preprocessing", ("pca",))),
            Categorical("weights", DISTRIBUTIONS),
            Categorical("weight_scale", HEURISTICS),
            Real("weight_multiple", 0.2, 2.0, when=When("weight_scale", ("fan_in",))),
            Categorical("seed", (1, 2, 3)),
            Integer("units", FEWEST_UNITS, self.max_units, log=True),
            Categorical("nonlinearity", ("tanh", "logistic")),
            Categorical("batch_size", (20, 100)),
            Real("learning_rate", 0.001, 10.0, log=True),
            Integer("anneal_start", 300, 30_000, log=True),
            Categorical("regularise", (False, True)),
            Real("l2_penalty", 3.1e-7, 3.1e-5, log=True, when=When("regularise", (True,))),
        )

    def learn(self, architecture: Architecture, data: Parts, seed: int, budget: float | None) -> Mapping[str, float]:
        chosen = self.values(architecture)
        parts = preprocessed(data.flat(), chosen)
        network = hidden_layer(parts, chosen, derive(seed, "weights")).to(parts.device)
        optimizer = plain_sgd(network, chosen["learning_rate"], chosen["l2_penalty"] or 0.0)
        factor = annealed(chosen["anneal_start"])
        epochs = passes(network, optimizer, parts.train, chosen["batch_size"], seed, factor)
        return stopped_early(epochs, network, parts, self.stopping.within(budget))


def preprocessed(parts: Parts, chosen: Mapping[str, Any]) -> Parts:
    """The inputs as the decisions want them."""
    train = parts.train.inputs
    changes = {
        "none": lambda: parts,
        "normalise": lambda: parts.with_inputs(standardised(train)),
        "pca": lambda: parts.with_inputs(principal(train, chosen["pca_energy"])),
    }
    return changes[chosen["preprocessing"]]()


def hidden_layer(parts: Parts, chosen: Mapping[str, Any], seed: int) -> nn.Sequential:
    """The network before training: output weights and all biases are 0."""
    inputs, units = parts.features, chosen["units"]
    width = scale(chosen["weight_multiple"], inputs, units)
    weights = drawn(chosen["weights"], width, inputs, units, torch.Generator().manual_seed(seed))
    nonlinearity = {"tanh": nn.Tanh, "logistic": nn.Sigmoid}[chosen["nonlinearity"]]()
    return nn.Sequential(layer(weights), nonlinearity, zero_softmax(units, parts.classes))
