"""Scores from training a language model of each candidate from scratch."""

from __future__ import annotations

import dataclasses
import time

from nas_cli.architecture import Architecture
from nas_cli.data.base import Dataset
from nas_cli.data.text import TextDataset
from nas_cli.errors import CombinationError, require
from nas_cli.estimators.base import Estimator, Measurement
from nas_cli.hardware import Hardware
from nas_cli.language_training import LanguageRecipe, LanguageTraining
from nas_cli.seeding import derive
from nas_cli.spaces.base import Space
from nas_cli.spaces.language import LanguageSpace


class TrainLanguage(Estimator):
    """Train on the training text, score by the perplexity on the validation text; the test text is never read.

    The score is that of the best epoch, as a language model's evaluation chooses its weights too.

    Args:
        recipe: how the language models are trained. A budget, in epochs, replaces its `epochs`.
    """

    score_name = "negative_valid_perplexity"
    candidates = 40

    def __init__(
        self, space: Space, dataset: Dataset | TextDataset, hardware: Hardware, seed: int, recipe: LanguageRecipe
    ) -> None:
        require(recipe.epochs >= 1, f"recipe.epochs must be at least 1, not {recipe.epochs}")
        if not isinstance(space, LanguageSpace):
            raise CombinationError(
                f"space={space.name} with estimator=train_language: makes no language models; take estimator=train"
            )
        if not isinstance(dataset, TextDataset):
            raise CombinationError(f"dataset={dataset.name} with space={space.name}: it learns from text, e.g. pydoc")
        self.space = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self.recipe = recipe

    def prepare(self) -> None:
        self.hardware.prepare()
        self.dataset.train(), self.dataset.valid()

    def measure(self, architecture: Architecture, budget: float | None = None) -> Measurement:
        began = time.monotonic()
        recipe = self.recipe if budget is None else dataclasses.replace(self.recipe, epochs=round(budget))
        # Seeded by the architecture, so that its score does not depend on what was measured before it.
        seed = derive(self.seed, str(architecture))
        training = LanguageTraining(recipe, architecture, self.space, self.dataset, self.hardware, seed)
        epochs = []
        while not training.done:
            if (metrics := training.step()) is not None:
                epochs.append(metrics)
        best = min(epochs, key=lambda metrics: metrics["valid_loss"])
        wanted = ("train_loss", "train_perplexity", "valid_loss", "valid_perplexity")
        metrics = {name: float(best[name]) for name in wanted}
        return Measurement(-metrics["valid_perplexity"], metrics, time.monotonic() - began)
