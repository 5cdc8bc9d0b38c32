"""The help topics of Python as a text."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
import torch

from nas_cli.data.pydoc import FREQUENT, Pydoc, split
from nas_cli.data.text import UNKNOWN
from nas_cli.errors import InputError


@pytest.fixture(scope="module")
def dataset() -> Pydoc:
    return Pydoc("pydoc")


def test_the_parts_are_the_text_in_order(dataset: Pydoc) -> None:
    train, valid, test = dataset.train(), dataset.valid(), dataset.test()
    total = len(train) + len(valid) + len(test)
    assert 80_000 < total < 200_000
    assert len(train) == int(0.8 * total)
    assert abs(len(valid) - len(test)) <= 1
    first = [dataset.vocabulary[token] for token in train[:6]]
    assert first == ["the", '"', "assert", '"', "statement", "***"]  # of the topic `assert`, and its underline


def test_signs_and_words() -> None:
    assert split("Is f(x)**2 == g_1(y)...  +-----+") == [
        *("is", "f", "(", "x", ")", "**", "2", "==", "g_1", "(", "y", ")", "...", "+", "---", "+")
    ]


def test_the_vocabulary_is_what_is_frequent_in_the_training_part(dataset: Pydoc) -> None:
    assert len(dataset.vocabulary) == len(set(dataset.vocabulary)) == FREQUENT + 1 == dataset.words
    counts = Counter(dataset.train().tolist())
    known = [counts[number] for number in range(1, dataset.words)]
    assert known == sorted(known, reverse=True)
    assert known[-1] >= 1
    assert dataset.vocabulary[0] == UNKNOWN
    assert 0 < counts[0] < 0.1 * len(dataset.train())
    assert all(word == word.lower() for word in dataset.vocabulary)


def test_every_token_is_a_word(dataset: Pydoc) -> None:
    for part in (dataset.train(), dataset.valid(), dataset.test()):
        assert part.dtype == torch.int64
        assert part.min() >= 0
        assert part.max() < dataset.words


def test_it_can_be_learned_from(dataset: Pydoc) -> None:
    """Neither uniform nor a single word, and the parts are alike: a unigram model has a perplexity of 200 to 250."""
    counts = torch.bincount(dataset.train(), minlength=dataset.words) + 1.0
    for part in (dataset.train(), dataset.valid(), dataset.test()):
        perplexity = (-(counts / counts.sum()).log()[part].mean()).exp()
        assert 150 < perplexity < 300


def test_a_python_without_topics_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(InputError, match="without its help topics"):
        Pydoc("pydoc").train()
