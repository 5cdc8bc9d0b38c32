"""The topic model of the embedded text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_up import CPU

from nas_cli.data.pydoc import Pydoc
from nas_cli.data.text import DocumentDataset
from nas_cli.estimators.train import Train
from nas_cli.problems.online_lda import OnlineLda
from nas_cli.training import Recipe


class TwoSubjects(DocumentDataset):
    """Documents of words about one of two subjects, and a word that counts as none."""

    words = 5
    vocabulary = ("<unk>", "cat", "dog", "star", "moon")

    def train(self) -> torch.Tensor:
        raise AssertionError("the words in a row are not read")

    valid = test = train

    def documents(self) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        about = [torch.tensor([0, 1, 2, 1, 2, 2, 1, 0]), torch.tensor([3, 4, 4, 3, 0, 3, 4, 3])]
        return about * 20, about * 3, about[:1]


SPACE = OnlineLda("online_lda", topics=2, epochs=5)


def judge(epochs: int = 5) -> Train:
    space = OnlineLda("online_lda", topics=2, epochs=epochs)
    return Train(space, TwoSubjects("two"), CPU, 0, Recipe(), 0.5)


def test_bags_count_words_made_of_letters() -> None:
    bags = SPACE.read(TwoSubjects("two"), 0.5, CPU)
    assert bags.train.shape == (40, 4)
    assert bags.test.tolist() == [[3, 3, 0, 0]]


def test_the_score_is_the_negative_log_of_the_perplexity_held_out() -> None:
    candidate = SPACE.decode((0.7, 2.0, 10))
    found = judge().measure(candidate)
    assert judge().score_name == "negative_log_perplexity"
    assert found.score == pytest.approx(-math.log(found.metrics["valid_perplexity"]))
    # Four words, of which a document has but two: knowing the subjects leaves little more than 2 to guess among.
    assert 2 < found.metrics["valid_perplexity"] < 4
    assert judge().measure(candidate).metrics == found.metrics


def test_a_batch_may_be_larger_than_the_text_and_a_budget_caps_the_passes() -> None:
    large = SPACE.decode((0.7, 2.0, 64))
    assert math.isfinite(judge().measure(large).score)
    assert judge().measure(large, budget=1).metrics == judge(epochs=1).measure(large).metrics
    assert judge().measure(large).metrics != judge(epochs=1).measure(large).metrics


def test_it_learns_the_embedded_text() -> None:
    space = OnlineLda("online_lda", topics=3, epochs=1)
    estimator = Train(space, Pydoc("pydoc"), CPU, 0, Recipe(), 0.5)
    before = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    assert 3 < -estimator.measure(space.decode((0.7, 10.0, 16))).score < math.log(2000)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index,union-attr]


def test_documents_of_the_embedded_text_are_dealt_out() -> None:
    text = Pydoc("pydoc")
    parts = text.documents()
    assert sum(len(document) for part in parts for document in part) == sum(
        len(part) for part in (text.train(), text.valid(), text.test())
    )
    assert len(parts[0]) > 7 * len(parts[1]) > 0
    assert len(parts[2]) > 0
    assert torch.equal(torch.cat(parts[0][:8]), text.train()[: sum(map(len, parts[0][:8]))])
