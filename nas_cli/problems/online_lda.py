"""Hyper-parameters of online variational Bayes for latent Dirichlet allocation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import LatentDirichletAllocation
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.data.text import DocumentDataset
from nas_cli.errors import DivergedError, require
from nas_cli.hardware import Hardware
from nas_cli.spaces.decisions import Decision, Integer, Real
from nas_cli.spaces.learning import LearningProblem, epochs_within

SEEDS = 2**32  # scikit-learn's generators take no more


@dataclass(frozen=True)
class Bags:
    """How often each word stands in each document.

    Shape:
        train, valid, test: (documents, words)
    """

    train: np.ndarray[Any, Any]
    valid: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]


class OnlineLda(LearningProblem):
    """A topic model of a text's documents, as bags of those of its words that are made of letters.

    The score is the negative logarithm of the perplexity per word of the documents held out. A budget, in epochs, caps
    the epochs.

    Args:
        name: the name under which it was configured.
        topics: of the model. Paper: 100.
        epochs: passes over the documents. Paper: one, in 250,000 documents.
        max_batch_size: upper end of the range of batch sizes. Paper: 16,384.
    Differs from the paper: a small text in place of Wikipedia; the perplexity is scikit-learn's bound of it.
    Reference: Snoek, Larochelle, Adams, Practical Bayesian optimization of machine learning algorithms, NIPS 25, 2012,
        section 4.2; Hoffman, Blei, Bach, Online learning for latent Dirichlet allocation, NIPS 23, 2010.
    """

    score_name = "negative_log_perplexity"
    learns_from = DocumentDataset
    wanted = "a text that is divided into documents, as pydoc is"

    def __init__(self, name: str, topics: int = 10, epochs: int = 5, max_batch_size: int = 64) -> None:
        super().__init__(name)
        require(topics >= 2, f"topics must be at least 2, not {topics}")
        require(epochs >= 1, f"epochs must be at least 1, not {epochs}")
        require(max_batch_size >= 2, f"max_batch_size must be at least 2, not {max_batch_size}")
        self.topics = topics
        self.epochs = epochs
        self.max_batch_size = max_batch_size

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return (
            Real("kappa", 0.5, 1.0),
            Real("tau_0", 1.0, 1024.0, log=True),
            Integer("batch_size", 1, self.max_batch_size, log=True),
        )

    def read(self, dataset: Any, split: float, hardware: Hardware) -> Bags:
        """The text's own parts; `split` is for images."""
        words = np.array([word.isalpha() for word in dataset.vocabulary])
        return Bags(*(_bags(documents, words) for documents in dataset.documents()))

    def learn(self, architecture: Architecture, data: Bags, seed: int, budget: float | None) -> Mapping[str, float]:
        chosen = self.values(architecture)
        model = LatentDirichletAllocation(
            n_components=self.topics,
            learning_method="online",
            learning_decay=chosen["kappa"],
            learning_offset=chosen["tau_0"],
            batch_size=min(chosen["batch_size"], len(data.train)),
            max_iter=epochs_within(budget, self.epochs),
            total_samples=len(data.train),
            random_state=seed % SEEDS,
        ).fit(data.train)
        parts = {"train": data.train, "valid": data.valid, "test": data.test}
        found = {f"{part}_perplexity": _perplexity(model, bags) for part, bags in parts.items()}
        return {**found, self.score_name: -math.log(found["valid_perplexity"])}


def _perplexity(model: LatentDirichletAllocation, bags: np.ndarray[Any, Any]) -> float:
    # Else the whole bound of the topics themselves would fall on the few words held out.
    found = float(model.perplexity(bags, sub_sampling=True))
    if not math.isfinite(found):
        raise DivergedError(f"the perplexity is {found}")
    return found


def _bags(documents: list[Tensor], words: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Counts (documents, words kept)."""
    return np.stack([np.bincount(document.numpy(), minlength=len(words)) for document in documents])[:, words]
