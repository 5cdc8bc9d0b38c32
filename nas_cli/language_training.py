"""Training one language model from scratch: the recipe, and its resumable execution step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import functional_call

from nas_cli.architecture import Architecture
from nas_cli.cost import count
from nas_cli.data.sequences import Spread, Walk, columns
from nas_cli.data.text import TextDataset
from nas_cli.descent import check_finite, descend
from nas_cli.errors import CombinationError, require
from nas_cli.hardware import Hardware
from nas_cli.language import WordTally, activation_penalty, cross_entropy, judge
from nas_cli.networks.recurrent import Dropouts, LanguageModel, Prediction
from nas_cli.recipe import EvaluationRecipe, ResumableTraining
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import Space
from nas_cli.spaces.language import LanguageSpace

# What a part has unless told otherwise.
DROPOUTS = Dropouts()
LENGTHS = Spread()


@dataclass(frozen=True)
class LanguageRecipe(EvaluationRecipe):
    """How a language model is built and trained from scratch.

    Plain SGD at a constant rate until the validation loss has not improved for a while, from then on the same steps
    with the mean of all weights since; the epoch with the best validation loss is what is tested. The defaults are
    those of the small form.

    Args:
        epochs: passes over the training text; 0 only builds and counts. Paper: run until it has converged.
        batch_size: columns that the training text is cut into. Paper: 64.
        valid_batch_size, test_batch_size: the same for the other texts. Paper: 10, 1.
        lengths: of the windows that a gradient reaches back over.
        learning_rate: of SGD, of a window of full length; shorter ones take shorter steps. Paper: 20.
        weight_decay: of SGD. Paper: 8e-7 (WikiText-2: 5e-7).
        gradient_clip: bound of the gradient's norm. Paper: 0.25.
        dropouts: of the network.
        activation, temporal: weights of the two activation penalties. Paper: 0, 1e-3.
        patience: averaging begins after the epoch whose validation loss exceeds the least of all epochs before it but
            the last so many. Paper: 5.
        hidden: size of embedding and hidden state; None: the space's own. Paper: 850 (WikiText-2: 700).
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.2; averaging: Merity, Keskar, Socher,
        ICLR 2018, arXiv:1708.02182, sec. 3 and algorithm 1.
    """

    score_name: ClassVar[str] = "negative_test_perplexity"

    epochs: int = 10
    batch_size: int = 32
    valid_batch_size: int = 10
    test_batch_size: int = 1
    lengths: Spread = LENGTHS
    learning_rate: float = 20.0
    weight_decay: float = 8e-7
    gradient_clip: float = 0.25
    dropouts: Dropouts = DROPOUTS
    activation: float = 0.0
    temporal: float = 1e-3
    patience: int = 5
    hidden: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "weight_decay", "activation", "temporal", "patience"):
            require(getattr(self, name) >= 0, f"{name} must be at least 0, not {getattr(self, name)}")
        for name in ("batch_size", "valid_batch_size", "test_batch_size"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "gradient_clip"):
            require(getattr(self, name) > 0, f"{name} must be above 0, not {getattr(self, name)}")
        require(self.hidden is None or self.hidden >= 1, f"hidden must be at least 1 or null, not {self.hidden}")

    def check_parts(self, space: Space, dataset: object) -> None:
        if not isinstance(space, LanguageSpace):
            raise CombinationError(f"space={space.name}: makes no language models, which this evaluation trains")
        if not isinstance(dataset, TextDataset):
            name = getattr(dataset, "name", dataset)
            raise CombinationError(f"dataset={name}: is no text, which networks of space {space.name} are trained on")

    def build(self, architecture: Architecture, space: LanguageSpace, dataset: TextDataset) -> LanguageModel:
        """The network of an architecture for a text, initialised from torch's current generator."""
        return space.build(architecture, dataset.words, self.hidden, self.dropouts)

    def training(
        self, architecture: Architecture, space: LanguageSpace, dataset: TextDataset, hardware: Hardware, seed: int
    ) -> LanguageTraining:
        dataset.test()  # a missing test set must not come to light after hours of training
        return LanguageTraining(self, architecture, space, dataset, hardware, seed)

    def counts(self, architecture: Architecture, space: LanguageSpace, dataset: TextDataset) -> dict[str, float]:
        cost = count(lambda: self.build(architecture, space, dataset), (1,), torch.int64)
        return {"params": cost.params, "macs": cost.macs, "words": dataset.words}

    def score(self, metrics: Mapping[str, float]) -> float:
        return -metrics["test_perplexity"]


class LanguageTraining(ResumableTraining):
    """One training from scratch, a window a step; its state can be saved after any step.

    An epoch is as many windows as cover the text on average (`nas_cli.data.sequences.Walk`).

    Args:
        recipe: how.
        architecture: what, built by `space` for `dataset`.
        seed: of initialisation, lengths of windows and dropout.
    """

    def __init__(
        self,
        recipe: LanguageRecipe,
        architecture: Architecture,
        space: LanguageSpace,
        dataset: TextDataset,
        hardware: Hardware,
        seed: int,
    ) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        with seeded(seed, "network"):
            network = recipe.build(architecture, space, dataset)
        self.network = hardware.place(network)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        text = self._columns(dataset.train(), recipe.batch_size, "training")
        self.walk = Walk(text, recipe.lengths, derive(seed, "windows"))
        self._valid = self._columns(dataset.valid(), recipe.valid_batch_size, "validation")
        self.step_count = 0
        self._hidden: Tensor | None = None
        self._tally = WordTally()
        self._losses: list[float] = []  # on the validation text, of every epoch until averaging begins
        self._average: dict[str, Tensor] | None = None
        self._averaged = 0  # weights that the average is of
        self._best: dict[str, Tensor] | None = None
        self._best_metrics: dict[str, float] = {}

    def _columns(self, tokens: Tensor, batch: int, part: str) -> Tensor:
        return columns(tokens, batch, self.hardware.device, f"dataset {self.dataset.name}, {part} text")

    @property
    def total_steps(self) -> int:
        return self.recipe.epochs * len(self.walk)

    def step(self) -> dict[str, Any] | None:
        """Train on one window; the epoch's metrics where it was the last of one.

        Raises `DivergedError` on a loss or gradient that is not finite, before weights are changed.
        """
        recipe = self.recipe
        epoch = self.step_count // len(self.walk)
        hidden = None if self.walk.at_start else self._hidden
        tokens, targets = self.walk.next()
        rate = recipe.learning_rate * len(tokens) / recipe.lengths.length
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        with seeded(self.seed, "step", self.step_count), self.hardware.autocast():
            prediction: Prediction = self.network(tokens, hidden)
        loss = cross_entropy(prediction, targets)
        check_finite(loss, f"the training loss in epoch {epoch}")
        self.optimizer.zero_grad(set_to_none=True)
        total = loss + activation_penalty(prediction, recipe.activation, recipe.temporal)
        total.backward()  # type: ignore[no-untyped-call]
        descend(self.network, self.optimizer, recipe.gradient_clip, f"the gradient's norm in epoch {epoch}")
        self._hidden = prediction.hidden.detach()
        self._add_to_average()
        self._tally += WordTally.of(loss, targets)
        self.step_count += 1
        return None if self.step_count % len(self.walk) else self._end_epoch(epoch)

    @torch.no_grad()
    def _add_to_average(self) -> None:
        if self._average is None:
            return
        self._averaged += 1
        for name, value in self._own().items():
            self._average[name].lerp_(value, 1 / self._averaged)

    def _end_epoch(self, epoch: int) -> dict[str, Any]:
        metrics = {
            "epoch": epoch,
            "step": self.step_count,
            "learning_rate": self.recipe.learning_rate,
            "averaging": self._average is not None,
            **self._tally.metrics("train"),
        }
        values = self._own() if self._average is None else self._average
        valid = self._judge(values, self._valid, "validation").metrics("valid")
        if not self._best_metrics or valid["valid_loss"] < self._best_metrics["valid_loss"]:
            self._best = {name: value.clone() for name, value in values.items()}
            self._best_metrics = {"best_epoch": epoch, **valid}
        if self._average is None:
            earlier = self._losses[: max(len(self._losses) - self.recipe.patience, 0)]
            if earlier and valid["valid_loss"] > min(earlier):
                self._average = {name: torch.zeros_like(value) for name, value in self._own().items()}
            self._losses.append(valid["valid_loss"])
        self._tally = WordTally()
        return {**metrics, **valid}

    def _own(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.network.named_parameters()}

    def _judge(self, values: Mapping[str, Tensor], text: Tensor, what: str) -> WordTally:
        """The loss of the network with other weights on a text."""
        self.network.eval()

        def predict(tokens: Tensor, hidden: Tensor | None) -> Prediction:
            with self.hardware.autocast():
                prediction: Prediction = functional_call(self.network, dict(values), (tokens, hidden))
            return prediction

        return judge(predict, text, self.recipe.lengths.length, f"the loss on the {what} text")

    @property
    def figures(self) -> dict[str, float]:
        """The epoch under way, its training perplexity so far, and the best validation perplexity."""
        found: dict[str, float] = {"epoch": min(self.step_count // len(self.walk) + 1, self.recipe.epochs)}
        if self._tally.words:
            found["train_perplexity"] = self._tally.metrics("train")["train_perplexity"]
        if self._best_metrics:
            found["valid_perplexity"] = self._best_metrics["valid_perplexity"]
        return found

    def tested(self) -> dict[str, float]:
        """The weights of the best epoch on the test text; beside it which epoch that was, and its validation loss."""
        values = self._own() if self._best is None else self._best
        text = self._columns(self.dataset.test(), self.recipe.test_batch_size, "test")
        return {**self._judge(values, text, "test").metrics("test"), **self._best_metrics}

    def state_dict(self) -> dict[str, Any]:
        """Weights, their mean and the best ones, and where the text stands."""
        return {
            "network": self.network.state_dict(),
            "walk": self.walk.state_dict(),
            "hidden": self._hidden,
            "step": self.step_count,
            "tally": dataclasses.asdict(self._tally),
            "losses": self._losses,
            "average": self._average,
            "averaged": self._averaged,
            "best": self._best,
            "best_metrics": self._best_metrics,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        here = partial(_to, self.hardware.device)
        self.network.load_state_dict(state["network"])
        self.walk.load_state_dict(state["walk"])
        self._hidden = None if state["hidden"] is None else state["hidden"].to(self.hardware.device)
        self.step_count = state["step"]
        self._tally = WordTally(**state["tally"])
        self._losses = list(state["losses"])
        self._average, self._averaged = here(state["average"]), state["averaged"]
        self._best, self._best_metrics = here(state["best"]), dict(state["best_metrics"])


def _to(device: torch.device, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor] | None:
    return None if tensors is None else {name: tensor.to(device, copy=True) for name, tensor in tensors.items()}
