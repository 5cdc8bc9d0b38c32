"""Shared weights of a supernet that is a language model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas_cli.data.sequences import Halved, Walk, columns
from nas_cli.data.text import TextDataset
from nas_cli.descent import check_finite
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import Begun, EdgeWeights, SharedWeights
from nas_cli.hardware import Hardware
from nas_cli.language import WordTally, activation_penalty, cross_entropy, judge
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.recurrent import Dropouts, Prediction
from nas_cli.networks.supernet import FanOutFactory
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import Space
from nas_cli.spaces.language import LanguageSupernetSpace

# What a part has unless told otherwise.
DROPOUTS = Dropouts()
LENGTHS = Halved()
#: So many windows tell the statistics of normalisation.
CALIBRATION_WINDOWS = 16


@dataclass(frozen=True)
class TextBatch:
    """One window of a text.

    Args:
        tokens, targets: words and the words that follow, (steps, batch) both.
        hidden: the hidden state before the window, (batch, size), or None for zeros.
        masks: seed of its dropout masks: all losses on one window, also those of the look-ahead, drop the same.
        held_out: whether the text's hidden state is carried on where the architecture's loss is computed.
    """

    tokens: Tensor
    targets: Tensor
    hidden: Tensor | None
    masks: int
    held_out: bool


@dataclass
class _Training(Begun):
    walk: Walk
    held_out: Tensor  # columns for the architecture
    valid: Tensor  # the same text in columns to judge on
    seed: int
    begin: int = 0  # of the last window in the text for the weights
    hidden: dict[str, Tensor | None] = field(default_factory=lambda: {"train": None, "held_out": None})


class SharedLanguageWeights(SharedWeights):
    """Trains a supernet's weights on the training text, and judges on the validation text.

    Each text is read window by window with a hidden state of its own that is carried on; the window for the
    architecture begins where the one for the weights does, modulo the length of its text. At the beginning of the
    training text both states are zeros. The defaults are those of the small form; the paper's stand in
    ``experiment/darts``.

    Args:
        batch_size: columns that both texts are cut into. Paper: 256.
        valid_batch_size: the same where the supernet is judged. Paper: 10.
        lengths: of the windows that a gradient reaches back over.
        learning_rate: of SGD, of a window of full length; shorter ones take shorter steps. Paper: 20.
        weight_decay: of SGD. Paper: 5e-7.
        gradient_clip: bound of the gradient's norm. Paper: 0.25.
        dropouts: of the supernet.
        activation, temporal: weights of the two activation penalties in the weights' loss. Paper: 0, 1e-3.
        batch_statistics: whether normalisation goes by the batch where the supernet is judged. Paper: no; but running
            statistics of one normalisation for all nodes and steps fit none of them, which small runs do not survive.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.1.2.
    """

    score_name = "negative_valid_perplexity"
    space: LanguageSupernetSpace

    def __init__(
        self,
        space: Space,
        dataset: object,
        hardware: Hardware,
        seed: int,
        batch_size: int = 32,
        valid_batch_size: int = 32,
        lengths: Halved = LENGTHS,
        learning_rate: float = 20.0,
        weight_decay: float = 5e-7,
        gradient_clip: float = 0.25,
        dropouts: Dropouts = DROPOUTS,
        activation: float = 0.0,
        temporal: float = 1e-3,
        batch_statistics: bool = True,
    ) -> None:
        if not isinstance(space, LanguageSupernetSpace):
            raise CombinationError(
                f"space={space.name}: has no language model for a supernet, which estimator=shared_language trains; "
                "space=darts_recurrent has one"
            )
        if not isinstance(dataset, TextDataset):
            name = getattr(dataset, "name", dataset)
            raise CombinationError(f"dataset={name}: is no text, which estimator=shared_language needs, e.g. pydoc")
        for name, value in {"batch_size": batch_size, "valid_batch_size": valid_batch_size}.items():
            require(value >= 2, f"{name} must be at least 2 for batch normalisation, not {value}")
        for name, number in {"learning_rate": learning_rate, "gradient_clip": gradient_clip}.items():
            require(number > 0, f"{name} must be above 0, not {number}")
        for name, number in {"weight_decay": weight_decay, "activation": activation, "temporal": temporal}.items():
            require(number >= 0, f"{name} must be at least 0, not {number}")
        super().__init__(space, hardware, seed, gradient_clip)
        self.dataset = dataset
        self.batch_size = batch_size
        self.valid_batch_size = valid_batch_size
        self.lengths = lengths
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropouts = dropouts
        self.penalties = (activation, temporal)
        self.batch_statistics = batch_statistics
        self._begun: _Training | None = None

    def begin(
        self,
        fan_out: FanOutFactory,
        epochs: int,
        stage: int = 0,
        choices: CellChoices | None = None,
        cells: int | None = None,
    ) -> None:
        """As the interface says; the cell mixes its activations itself, so `fan_out` is of no use here."""
        if cells is not None:
            self.space.check_depth(cells)  # a recurrent cell has none
        with seeded(self.seed, "supernet", stage):
            network = self.space.supernet(self.dataset.words, self.dropouts, self.batch_statistics, choices)
        network = self.hardware.place(network)
        train, valid = self.dataset.train(), self.dataset.valid()
        self._begun = _Training(
            network,
            torch.optim.SGD(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay),
            Walk(self._columns(train, self.batch_size), self.lengths, derive(self.seed, "windows", stage)),
            self._columns(valid, self.batch_size),
            self._columns(valid, self.valid_batch_size),
            derive(self.seed, "masks", stage),
        )

    def _columns(self, tokens: Tensor, batch: int) -> Tensor:
        return columns(tokens, batch, self.hardware.device, f"dataset {self.dataset.name}")

    @property
    def begun(self) -> _Training:
        if self._begun is None:
            raise RuntimeError("begin() comes first")
        return self._begun

    @property
    def steps_per_epoch(self) -> int:
        return len(self.begun.walk)

    def set_epoch(self, epoch: int) -> float:
        return self.learning_rate  # constant; `train_batch` sets that of each step

    def train_batch(self) -> TextBatch:
        """The next window of the training text; the learning rate becomes that of its length."""
        state = self.begun
        if state.walk.at_start:
            state.hidden = {"train": None, "held_out": None}
        state.begin = state.walk.begin
        tokens, targets = state.walk.next()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * len(tokens) / self.lengths.length
        masks = derive(state.seed, "train", state.walk.drawn)
        return TextBatch(tokens, targets, state.hidden["train"], masks, held_out=False)

    def held_out_batch(self) -> TextBatch:
        """The window of the validation text that belongs to the last one of the training text."""
        state = self.begun
        rows = len(state.held_out) - 1
        begin = state.begin % rows
        end = min(begin + self.lengths.length, rows)
        masks = derive(state.seed, "held out", state.walk.drawn)
        return TextBatch(
            state.held_out[begin:end],
            state.held_out[begin + 1 : end + 1],
            state.hidden["held_out"],
            masks,
            held_out=True,
        )

    def probe_batch(self) -> TextBatch:
        """Any window of the validation text, after zeros."""
        text, length = self.begun.held_out, self.lengths.length
        begin = int(torch.randint(max(len(text) - length, 1), ()))
        end = min(begin + length, len(text) - 1)
        masks = int(torch.randint(2**31, ()))
        return TextBatch(text[begin:end], text[begin + 1 : end + 1], None, masks, held_out=False)

    def restored_tally(self, state: Mapping[str, Any]) -> WordTally:
        return WordTally(**state)

    def _predict(
        self,
        tokens: Tensor,
        hidden: Tensor | None,
        weights: EdgeWeights,
        values: Mapping[str, Tensor] | None = None,
    ) -> Prediction:
        call = (tokens, hidden, weights)
        found = self.network(*call) if values is None else functional_call(self.network, dict(values), call)
        return cast(Prediction, found)

    def loss(
        self,
        batch: TextBatch,
        weights: EdgeWeights,
        values: Mapping[str, Tensor] | None = None,
        full_precision: bool = False,
    ) -> Tensor:
        """As the interface says, without activation penalties; of a held-out window the hidden state is carried on."""
        with nullcontext() if full_precision else self.hardware.autocast(), seeded(batch.masks):
            prediction = self._predict(batch.tokens, batch.hidden, weights, values)
        found = cross_entropy(prediction, batch.targets)
        check_finite(found, "a loss of the architecture step")
        if batch.held_out:
            self.begun.hidden["held_out"] = prediction.hidden.detach()
        return found

    def backward(self, batch: TextBatch, weights: EdgeWeights, penalty: Tensor | None = None) -> WordTally:
        """As the interface says, with the activation penalties; the hidden state is carried on."""
        with self.hardware.autocast(), seeded(batch.masks):
            prediction = self._predict(batch.tokens, batch.hidden, weights)
        loss = cross_entropy(prediction, batch.targets)
        check_finite(loss, "the training loss of the supernet")
        total = loss + activation_penalty(prediction, *self.penalties)
        total = total if penalty is None else total + penalty
        total.backward()  # type: ignore[no-untyped-call]
        self.begun.hidden["train"] = prediction.hidden.detach()
        return WordTally.of(loss, batch.targets)

    @torch.no_grad()
    def validate(self, weights: EdgeWeights, recalibrate: bool = False) -> WordTally:
        """As the interface says. Where normalisation goes by the batch, there is nothing to recalibrate."""
        values = self._calibrated(weights) if recalibrate and not self.batch_statistics else None
        self.network.eval()

        def predict(tokens: Tensor, hidden: Tensor | None) -> Prediction:
            with self.hardware.autocast():
                return self._predict(tokens, hidden, weights, values)

        return judge(predict, self.begun.valid, self.lengths.length, "the validation loss of the supernet")

    def _calibrated(self, weights: EdgeWeights) -> dict[str, Tensor]:
        """Running statistics that are plain means over training windows with these edge weights, by name."""
        norms = [module for module in self.network.modules() if isinstance(module, nn.BatchNorm1d)]
        momenta = [norm.momentum for norm in norms]
        buffers = {name: buffer.clone().zero_() for name, buffer in self.network.named_buffers() if "norm." in name}
        text, length, hidden = self.begun.walk.text, self.lengths.length, None
        try:
            for norm in norms:
                norm.momentum = None  # the plain mean of all batches
            self.network.train()
            for window in range(min(CALIBRATION_WINDOWS, (len(text) - 1) // length)):
                tokens = text[window * length : (window + 1) * length]
                with self.hardware.autocast(), seeded(self.begun.seed, "calibration", window):
                    hidden = self._predict(tokens, hidden, weights, buffers).hidden
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
        return buffers

    def score(self, metrics: Mapping[str, float]) -> float:
        return -metrics["valid_perplexity"]

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, where the texts stand and their hidden states."""
        state = self.begun
        return {
            "network": state.network.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "walk": state.walk.state_dict(),
            "hidden": dict(state.hidden),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        mine = self.begun
        mine.network.load_state_dict(state["network"])
        mine.optimizer.load_state_dict(state["optimizer"])
        mine.walk.load_state_dict(state["walk"])
        mine.hidden = {
            text: None if hidden is None else hidden.to(self.hardware.device)
            for text, hidden in state["hidden"].items()
        }
