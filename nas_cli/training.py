"""Training one network from scratch: the recipe, and its resumable execution step by step."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.architecture import Architecture
from nas_cli.build import accepts, describe
from nas_cli.cost import count
from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Dataset, Source
from nas_cli.data.loader import Loader
from nas_cli.descent import check_finite, descend
from nas_cli.errors import CombinationError, nearest, require
from nas_cli.hardware import Hardware
from nas_cli.networks.auxiliary_head import AuxiliaryNetwork
from nas_cli.networks.drop_path import DropPath, set_drop_path
from nas_cli.networks.stems import StemName
from nas_cli.optimizers import SGD, WeightOptimizer
from nas_cli.recipe import EvaluationRecipe, ResumableTraining
from nas_cli.schedules import COSINE, Schedule
from nas_cli.seeding import derive, seeded
from nas_cli.spaces.base import NetworkSpace, Space
from nas_cli.tally import Tally, test
from nas_cli.weight_average import WeightAverage


@dataclass(frozen=True)
class Recipe(EvaluationRecipe):
    """How an image network is built and trained from scratch.

    Args:
        epochs: passes over the training images; 0 only builds and counts.
        batch_size: images a step, at least 2: batch normalisation of 1x1 maps needs two values.
        learning_rate: in the beginning.
        schedule: how the rate goes on from there.
        pace: whether rate and drop-path move with every epoch, as in DARTS, or with every step, as in NASNet.
        optimizer: what steps along the gradient, with `momentum` and `weight_decay`.
        gradient_clip: bound of the gradient's norm.
        drop_path: probability at the end; it grows linearly from 0.
        auxiliary_weight: of the auxiliary head's loss; 0: no head.
        cutout: side of the square that is blanked; 0: none; None: the data set's own.
        label_smoothing: of the cross entropy.
        weight_average: decay of the moving average of weights and running statistics, which is tested in place of the
            last ones; of n steps at most (1 + n) / (10 + n), that the beginning is forgotten. 0: the last ones.
        channels, cells: size of the network; None: the space's own.
        stem: its first layers, ``imagenet`` for large images; None: the space's own.
        auxiliary_norm: whether the head's second convolution is normalised. DARTS: not on ImageNet.
        network: what else the space's networks are asked for, by name; None: nothing.
    Reference: Liu, Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055, app. A.1 (the values in ``evaluation/cifar10``).
    """

    score_name: ClassVar[str] = "test_accuracy"

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.05
    schedule: Schedule = COSINE
    pace: Literal["epoch", "step"] = "epoch"
    optimizer: WeightOptimizer = SGD
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    drop_path: float = 0.0
    auxiliary_weight: float = 0.0
    cutout: int | None = None
    label_smoothing: float = 0.0
    weight_average: float = 0.0
    channels: int | None = None
    cells: int | None = None
    stem: StemName | None = None
    auxiliary_norm: bool = True
    network: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "weight_decay", "auxiliary_weight"):
            require(getattr(self, name) >= 0, f"{name} must be at least 0, not {getattr(self, name)}")
        require(self.cutout is None or self.cutout >= 0, f"cutout must be at least 0 or null, not {self.cutout}")
        require(self.batch_size >= 2, f"batch_size must be at least 2, not {self.batch_size}")
        for name in ("channels", "cells"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1 or null, not {value}")
        for name in ("learning_rate", "gradient_clip"):
            require(getattr(self, name) > 0, f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("momentum", "drop_path", "label_smoothing", "weight_average"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), not {getattr(self, name)}")
        self.optimizer.check(self.momentum)

    @property
    def _network_options(self) -> dict[str, Any]:
        """What `NetworkSpace.build` is asked for beyond the space's own."""
        wanted = {
            "channels": self.channels,
            "cells": self.cells,
            "stem": self.stem,
            "auxiliary": self.auxiliary_weight > 0 or None,
            "auxiliary_norm": None if self.auxiliary_norm else False,
        }
        return {**{name: value for name, value in wanted.items() if value is not None}, **(self.network or {})}

    def check(self, space: NetworkSpace, where: str = "") -> None:
        """Raise `CombinationError` where networks of a space lack an option; `where` stands before its name."""
        known = inspect.signature(space.build).parameters
        self._check_network(space, where)
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
            return
        for name, value in self._network_options.items():
            if name in known:
                continue
            if name == "auxiliary":
                raise CombinationError(
                    f"{where}auxiliary_weight={self.auxiliary_weight}: networks of space {space.name} have no "
                    "auxiliary head; set it to 0"
                )
            raise CombinationError(
                f"{where}{name}={value}: networks of space {space.name} have no {name} to set; "
                f"set it to {'true' if name == 'auxiliary_norm' else 'null'}"
            )

    def _check_network(self, space: NetworkSpace, where: str) -> None:
        """Hold `network` against what a space's networks can be asked for: keyword, and plain type."""
        every = inspect.signature(space.build).parameters.values()
        if not self.network or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in every):
            return
        known = [parameter.name for parameter in every if parameter.default is not inspect.Parameter.empty]
        hints = typing.get_type_hints(space.build)
        for name, value in self.network.items():
            if name not in known:
                raise CombinationError(
                    f"{where}network.{name}={value}: networks of space {space.name} have no {name} to set"
                    f"{nearest(name, known)}"
                )
            if not accepts(hints[name], value):
                raise CombinationError(f"{where}network.{name}={value}: must be {describe(hints[name])}")

    def check_paths(self, network: nn.Module, space: NetworkSpace) -> None:
        """Raise `CombinationError` where paths are to be dropped and a network has none."""
        if self.drop_path and not any(isinstance(module, DropPath) for module in network.modules()):
            raise CombinationError(
                f"drop_path={self.drop_path}: networks of space {space.name} have no paths to drop; set it to 0"
            )

    def augmentation(self, dataset: Dataset) -> Augmentation:
        """The data set's, with this recipe's cutout. Raises `InputError` where it is too large for the images."""
        own = dataset.augmentation
        augmentation = own if self.cutout is None else dataclasses.replace(own, cutout=self.cutout)
        height, width = dataset.input_shape[1:]
        require(
            self.cutout is None or self.cutout <= min(height, width),
            f"cutout={self.cutout}: must be at most the image side {min(height, width)} (images are {height}x{width})",
        )
        augmentation.check(dataset.input_shape)
        return augmentation

    def build(self, architecture: Architecture, space: NetworkSpace, dataset: Dataset) -> nn.Module:
        """The network of an architecture for a data set, initialised from torch's current generator.

        Raises `CombinationError` where networks of the space lack an option.
        """
        self.check(space)
        return space.build(architecture, dataset.input_shape, dataset.classes, **self._network_options)

    def check_parts(self, space: Space, dataset: object) -> None:
        if not isinstance(space, NetworkSpace):
            raise CombinationError(f"space={space.name}: makes no image networks, which this evaluation trains")
        if not isinstance(dataset, Dataset):
            raise CombinationError(
                f"dataset={getattr(dataset, 'name', dataset)}: has no images to train {space.name} on"
            )
        self.check(space, "evaluation.")

    def training(
        self, architecture: Architecture, space: NetworkSpace, dataset: Dataset, hardware: Hardware, seed: int
    ) -> Training:
        # What does not fit comes to light before any image is read: without memory for its weights a network is cheap.
        self.augmentation(dataset)
        with torch.device("meta"):
            self.check_paths(self.build(architecture, space, dataset), space)
        source = dataset.train()
        dataset.test()  # a missing test set must not come to light after hours of training
        return Training(self, architecture, space, dataset, source, hardware, seed)

    def counts(self, architecture: Architecture, space: NetworkSpace, dataset: Dataset) -> dict[str, float]:
        cost = count(lambda: self.build(architecture, space, dataset), dataset.input_shape)
        counts: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        if cost.params_with_auxiliary != cost.params:
            counts["params_with_auxiliary"] = cost.params_with_auxiliary
        return {**counts, "classes": dataset.classes}

    def score(self, metrics: Mapping[str, float]) -> float:
        return metrics["test_accuracy"]


class Training(ResumableTraining):
    """One training from scratch, a batch a step; its state can be saved after any step.

    Args:
        recipe: how.
        architecture: what, built by `space` for `dataset`.
        source: the images to train on.
        seed: of initialisation, order, augmentation and dropout.
    """

    def __init__(
        self,
        recipe: Recipe,
        architecture: Architecture,
        space: NetworkSpace,
        dataset: Dataset,
        source: Source,
        hardware: Hardware,
        seed: int,
    ) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        with seeded(seed, "network"):
            network = recipe.build(architecture, space, dataset)
        recipe.check_paths(network, space)
        self.network = hardware.place(network)
        self._parts = space.parts(self.network)
        self.optimizer = recipe.optimizer(
            self.network.parameters(), recipe.learning_rate, recipe.momentum, recipe.weight_decay
        )
        self._average = WeightAverage(self.network, recipe.weight_average) if recipe.weight_average else None
        augmentation = recipe.augmentation(dataset)
        self.loader = Loader(source, recipe.batch_size, derive(seed, "batches"), hardware.device, augmentation)
        self.step_count = 0
        self._tally = Tally()

    @property
    def total_steps(self) -> int:
        return self.recipe.epochs * len(self.loader)

    def step(self) -> dict[str, Any] | None:
        """Train on one batch; the epoch's metrics where it was the last of one.

        Raises `DivergedError` on a loss or gradient that is not finite, before weights or optimiser are changed.
        """
        recipe = self.recipe
        epoch = self.step_count // len(self.loader)
        now = epoch if recipe.pace == "epoch" else self.step_count / len(self.loader)
        rate = recipe.schedule.rate(recipe.learning_rate, now, recipe.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        set_drop_path(self.network, recipe.drop_path * now / recipe.epochs)
        self.network.train()
        images, labels = self.loader.next()
        with seeded(self.seed, "step", self.step_count):
            loss, logits = self._loss(images, labels)
        check_finite(loss, f"the training loss in epoch {epoch}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        descend(self.network, self.optimizer, recipe.gradient_clip, f"the gradient's norm in epoch {epoch}")
        self._tally += Tally.of(loss, logits, labels)
        self.step_count += 1
        if self._average is not None:
            self._average.move(self.step_count)
        if self.step_count % len(self.loader):
            return None
        metrics = {"epoch": epoch, "step": self.step_count, "learning_rate": rate, **self._tally.metrics("train")}
        self._tally = Tally()
        return metrics

    @property
    def figures(self) -> dict[str, float]:
        """What a person wants to see now: the epoch under way and its training accuracy so far."""
        epoch = min(self.step_count // len(self.loader) + 1, self.recipe.epochs)
        return {"epoch": epoch, **(self._tally.metrics("train") if self._tally.images else {})}

    def _loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        smoothing, weight = self.recipe.label_smoothing, self.recipe.auxiliary_weight
        auxiliary = None
        with self.hardware.autocast():
            if weight and isinstance(self.network, AuxiliaryNetwork):
                logits, auxiliary = self.network(images, auxiliary=True)
            else:
                logits = self.network(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        if auxiliary is not None:
            loss = loss + weight * F.cross_entropy(auxiliary.float(), labels, label_smoothing=smoothing)
        return loss, logits

    def test(self, source: Source) -> Tally:
        """Loss and accuracy on other images; of the averaged weights where they are averaged."""
        with self._averaged():
            return test(self.network, source, self.recipe.batch_size, self.hardware)

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self._average is None else self._average.in_place()

    def tested(self) -> dict[str, float]:
        source = self.dataset.test()
        metrics = self.test(source).metrics("test")
        with self._averaged():
            for name, part in self._parts.items():
                tally = test(part, source, self.recipe.batch_size, self.hardware)
                metrics[f"test_accuracy_{name}"] = tally.metrics("test")["test_accuracy"]
        return {**metrics, "test_error": 1 - metrics["test_accuracy"]}

    def state_dict(self) -> dict[str, Any]:
        """Weights, their average, optimiser, position and the sums of the epoch under way."""
        return {
            "network": self.network.state_dict(),
            "average": {} if self._average is None else self._average.values,
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "step": self.step_count,
            "tally": dataclasses.asdict(self._tally),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.network.load_state_dict(state["network"])
        if self._average is not None:
            self._average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        self.step_count = state["step"]
        self._tally = Tally(**state["tally"])
