"""Hyper-parameters of a deep belief network of one to three layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.problems.examples import ImageProblem, Parts
from nas_cli.problems.perceptron import DISTRIBUTIONS, HEURISTICS, drawn, layer, scale, zero_softmax
from nas_cli.problems.preprocessing import whitened
from nas_cli.problems.rbm import Rbm, pretrain
from nas_cli.problems.sgd import EarlyStopping, annealed, passes, plain_sgd, stopped_early
from nas_cli.seeding import derive
from nas_cli.spaces.decisions import Categorical, Decision, Integer, Real, When
from nas_cli.spaces.learning import epochs_within

FEWEST_UNITS = 128
MOST_LAYERS = 3


class Dbn(ImageProblem):
    """Logistic layers trained one on the other by contrastive divergence, then all of them with a softmax by SGD.

    The paper's 32 hyper-parameters, 8 and then 8 for each layer, are 33 decisions here: whether there is a penalty and
    how large it is are two. The `seed` needs no use of its own: everything random is seeded by all that was decided. A
    budget, in epochs, caps those of every layer and those of the whole network.

    Args:
        name: the name under which it was configured.
        min_epochs, max_epochs: of the whole network. Paper: 100 and 1000.
        max_cd_epochs: upper end of the range of a layer's epochs. Paper: 10,000.
        max_units: upper end of the range of a layer's units. Paper: 4096.
    Reference: Bergstra, Bardenet, Bengio, Kégl, Algorithms for hyper-parameter optimization, NIPS 24, 2011, table 1.
    """

    def __init__(
        self, name: str, min_epochs: int = 5, max_epochs: int = 30, max_cd_epochs: int = 20, max_units: int = 512
    ) -> None:
        super().__init__(name)
        self.stopping = EarlyStopping(min_epochs, max_epochs, significant=True)
        require(max_cd_epochs > 1, f"max_cd_epochs must be above 1, not {max_cd_epochs}")
        require(max_units > FEWEST_UNITS, f"max_units must be above {FEWEST_UNITS}, not {max_units}")
        self.max_cd_epochs = max_cd_epochs
        self.max_units = max_units

    @property
    def decisions(self) -> tuple[Decision, ...]:
        layers = [decision for number in range(1, MOST_LAYERS + 1) for decision in self._layer(number)]
        return (
            Categorical("preprocessing", ("raw", "zca")),
            Real("zca_energy", 0.5, 1.0, when=When("preprocessing", ("zca",))),
            Categorical("seed", (1, 2, 3, 4, 5)),
            Real("learning_rate", 0.001, 10.0, log=True),
            Integer("anneal_start", 100, 10_000, log=True),
            Categorical("regularise", (False, True)),
            Real("l2_penalty", 1e-7, 1e-4, log=True, when=When("regularise", (True,))),
            Categorical("batch_size", (20, 100)),
            Categorical("layers", tuple(range(1, MOST_LAYERS + 1))),
            *layers,
        )

    def _layer(self, number: int) -> tuple[Decision, ...]:
        """What is decided of a layer, from 1, where there are so many."""
        there = When("layers", tuple(range(number, MOST_LAYERS + 1)))
        heuristic = f"weight_scale_{number}"
        return (
            Integer(f"units_{number}", FEWEST_UNITS, self.max_units, log=True, when=there),
            Categorical(f"weights_{number}", DISTRIBUTIONS, when=there),
            Categorical(heuristic, HEURISTICS, when=there),
            Real(f"weight_multiple_{number}", 0.2, 2.0, when=When(heuristic, ("fan_in",))),
            Integer(f"cd_epochs_{number}", 1, self.max_cd_epochs, log=True, when=there),
            Real(f"cd_learning_rate_{number}", 1e-4, 1.0, log=True, when=there),
            Integer(f"cd_anneal_start_{number}", 10, 10_000, log=True, when=there),
            Categorical(f"cd_sample_{number}", (False, True), when=there),
        )

    def learn(self, architecture: Architecture, data: Parts, seed: int, budget: float | None) -> Mapping[str, float]:
        chosen = self.values(architecture)
        parts = data.flat()
        if chosen["preprocessing"] == "zca":
            parts = parts.with_inputs(whitened(parts.train.inputs, chosen["zca_energy"]))
        network = stacked(parts, chosen, derive(seed, "layers"), budget)
        optimizer = plain_sgd(network, chosen["learning_rate"], chosen["l2_penalty"] or 0.0)
        factor = annealed(chosen["anneal_start"])
        epochs = passes(network, optimizer, parts.train, chosen["batch_size"], seed, factor)
        return stopped_early(epochs, network, parts, self.stopping.within(budget))


def stacked(parts: Parts, chosen: Mapping[str, Any], seed: int, budget: float | None = None) -> nn.Sequential:
    """The network after pre-training: each layer has learnt what the one below makes of the training images."""
    below = parts.train.inputs
    modules: list[nn.Module] = []
    for number in range(1, chosen["layers"] + 1):
        own = {name.removesuffix(f"_{number}"): value for name, value in chosen.items() if name.endswith(f"_{number}")}
        rbm = trained_layer(below, own, derive(seed, number), budget)
        modules += [layer(rbm.weights.T, rbm.hidden_biases), nn.Sigmoid()]
        below = rbm.hidden(below)
    return nn.Sequential(*modules, zero_softmax(below.shape[1], parts.classes)).to(parts.device)


def trained_layer(inputs: torch.Tensor, chosen: Mapping[str, Any], seed: int, budget: float | None = None) -> Rbm:
    """One layer trained on inputs (n, visible)."""
    visible, hidden = inputs.shape[1], chosen["units"]
    width = scale(chosen["weight_multiple"], visible, hidden)
    generator = torch.Generator().manual_seed(derive(seed, "weights"))
    weights = drawn(chosen["weights"], width, visible, hidden, generator).T.contiguous().to(inputs.device)
    rbm = Rbm(weights, inputs.new_zeros(visible), inputs.new_zeros(hidden))
    pretrain(
        rbm,
        inputs,
        epochs_within(budget, chosen["cd_epochs"]),
        chosen["cd_learning_rate"],
        chosen["cd_anneal_start"],
        chosen["cd_sample"],
        derive(seed, "samples"),
    )
    return rbm
