"""Stochastic gradient descent as in the papers: mini-batches, an annealed rate, early stopping.

A penalty is weight decay everywhere here: it adds penalty * weight to the gradient of every weight, not of the biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nas_cli.descent import check_finite
from nas_cli.errors import require
from nas_cli.problems.examples import Examples, Parts
from nas_cli.seeding import derive
from nas_cli.spaces.learning import epochs_within
from nas_cli.tally import Tally

SCORED_AT_ONCE = 1000  # images, so that the activations of a large network fit into memory


def plain_sgd(network: nn.Module, learning_rate: float, penalty: float) -> torch.optim.SGD:
    """Steps along the gradient, without momentum."""
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    biases = [parameter for parameter in network.parameters() if parameter.dim() == 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": penalty}, {"params": biases}]
    return torch.optim.SGD(groups, lr=learning_rate)


def constant(step: int) -> float:
    """The factor of a rate that stays as it is."""
    return 1.0


def annealed(start: float) -> Callable[[int], float]:
    """The factor start / max(step, start) of the step-th update, counted from 1.

    Reference: Bergstra & Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012, section 2.2 (t0).
    """
    return lambda step: start / max(step, start)


def passes(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    batch_size: int,
    seed: int,
    factor: Callable[[int], float] = constant,
) -> Iterator[int]:
    """Train epoch after epoch, without end; after each, how many there were.

    Args:
        network: (batch, …) -> (batch, classes), trained by the mean cross entropy of a batch.
        optimizer: of its parameters, with the rates that it begins with.
        train: in a new order every epoch; the last batch holds what is left.
        batch_size: more than there are examples is all of them.
        seed: of the orders.
        factor: of the rates at each update, counted from 1.

    Raises `DivergedError` at the end of an epoch in which the loss was not finite.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    step = epoch = 0
    while True:
        total = torch.zeros((), device=train.labels.device)
        for batch in torch.split(_order(train, derive(seed, "order", epoch)), batch_size):
            step += 1
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor(step)
            optimizer.zero_grad()
            loss = F.cross_entropy(network(train.inputs[batch]), train.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
        epoch += 1
        check_finite(total, f"the training loss in epoch {epoch - 1}")
        yield epoch


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after epoch t once the best validation accuracy is from before t / 2; keep the network that had it.

    Args:
        least: epochs at least. Paper: 100.
        most: epochs at most. Paper: 1000.
        significant: whether a new best must be better by half a standard error of the old one.
    Reference: Bergstra & Bengio, JMLR 13, 2012, section 2.2; `significant`: Bergstra et al., NIPS 24, 2011.
    """

    least: int
    most: int
    significant: bool = False

    def __post_init__(self) -> None:
        require(1 <= self.least <= self.most, f"min_epochs={self.least} must be between 1 and max_epochs={self.most}")

    def within(self, budget: float | None) -> EarlyStopping:
        """The same rule where a budget, in epochs, may end it sooner."""
        most = epochs_within(budget, self.most)
        return replace(self, least=min(self.least, most), most=most)

    def is_better(self, accuracy: float, best: float | None, examples: int) -> bool:
        """Whether an accuracy on so many examples is a new best."""
        if best is None:
            return True
        return accuracy > best + (math.sqrt(best * (1 - best) / examples) / 2 if self.significant else 0)

    def ends(self, epoch: int, best_epoch: int) -> bool:
        """Whether to stop after an epoch, both counted from 1."""
        return epoch >= self.most or (epoch >= self.least and best_epoch < epoch / 2)


def stopped_early(epochs: Iterator[int], network: nn.Module, parts: Parts, stopping: EarlyStopping) -> dict[str, float]:
    """Train until it is time to stop, go back to the best epoch, and say how good it was.

    Args:
        epochs: from `passes` of this network.
    """
    best, best_epoch, kept = None, 0, network.state_dict()
    for epoch in epochs:
        accuracy = score(network, parts.valid).metrics("valid")["valid_accuracy"]
        if stopping.is_better(accuracy, best, len(parts.valid)):
            best, best_epoch = accuracy, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        if stopping.ends(epoch, best_epoch):
            break
    network.load_state_dict(kept)
    return {**scores(network, parts), "epochs": epoch, "best_epoch": best_epoch}


def scores(network: nn.Module, parts: Parts) -> dict[str, float]:
    """Accuracies on all three parts, and the validation loss. Raises `DivergedError` where that is not finite."""
    valid = score(network, parts.valid)
    train, test = (score(network, part) for part in (parts.train, parts.test))
    return {
        "train_accuracy": train.correct / train.images,
        **valid.metrics("valid"),
        "test_accuracy": test.correct / test.images,
    }


@torch.no_grad()
def score(network: nn.Module, examples: Examples) -> Tally:
    """Loss and accuracy. Raises `DivergedError` where the loss is not finite."""
    total = Tally()
    parts = (torch.split(each, SCORED_AT_ONCE) for each in (examples.inputs, examples.labels))
    for inputs, labels in zip(*parts, strict=True):
        logits = network(inputs)
        loss = F.cross_entropy(logits, labels)
        check_finite(loss, "the loss")
        total += Tally.of(loss, logits, labels)
    return total


def _order(train: Examples, seed: int) -> torch.Tensor:
    return torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).to(train.labels.device)
