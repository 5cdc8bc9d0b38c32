"""Hyper-parameters of logistic regression by stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from nas_cli.architecture import Architecture
from nas_cli.errors import require
from nas_cli.problems.examples import ImageProblem, Parts
from nas_cli.problems.perceptron import zero_softmax
from nas_cli.problems.sgd import passes, plain_sgd, scores
from nas_cli.spaces.decisions import Decision, Integer, Real
from nas_cli.spaces.learning import epochs_within

FEWEST_EPOCHS = 5


class LogisticRegression(ImageProblem):
    """Softmax regression on the pixels, from weights 0: four hyper-parameters.

    A batch size above the number of images is all of them. A budget, in epochs, caps the epochs.

    Args:
        name: the name under which it was configured.
        max_epochs: upper end of the range of epochs. Paper: 2000.
        max_batch_size: upper end of the range of batch sizes. Paper: 2000.
    Differs from the paper: its learning rate starts at 0 on a logarithmic scale; ours, at 1e-3.
    Reference: Snoek, Larochelle, Adams, Practical Bayesian optimization of machine learning algorithms, NIPS 25, 2012,
        section 4.1.
    """

    def __init__(self, name: str, max_epochs: int = 100, max_batch_size: int = 2000) -> None:
        super().__init__(name)
        require(max_epochs > FEWEST_EPOCHS, f"max_epochs must be above {FEWEST_EPOCHS}, not {max_epochs}")
        require(max_batch_size > 20, f"max_batch_size must be above 20, not {max_batch_size}")
        self.max_epochs = max_epochs
        self.max_batch_size = max_batch_size

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return (
            Real("learning_rate", 1e-3, 1.0, log=True),
            Real("l2_penalty", 0.0, 1.0),
            Integer("batch_size", 20, self.max_batch_size, log=True),
            Integer("epochs", FEWEST_EPOCHS, self.max_epochs, log=True),
        )

    def learn(self, architecture: Architecture, data: Parts, seed: int, budget: float | None) -> Mapping[str, float]:
        chosen = self.values(architecture)
        parts = data.flat()
        network = zero_softmax(parts.features, parts.classes).to(parts.device)
        optimizer = plain_sgd(network, chosen["learning_rate"], chosen["l2_penalty"])
        epochs = epochs_within(budget, chosen["epochs"])
        for _ in islice(passes(network, optimizer, parts.train, chosen["batch_size"], seed), epochs):
            pass
        return scores(network, parts)
