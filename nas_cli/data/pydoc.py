"""The help topics of Python itself as a text to model, so that nothing has to be downloaded."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

import torch
from torch import Tensor

from nas_cli.data.text import UNKNOWN, DocumentDataset
from nas_cli.errors import InputError

FREQUENT = 2000  # words that have a number of their own; all others are one word more
PARTS = (0.8, 0.9)  # where the training and the validation words end
# A word is a run of letters, digits and underscores, or of one sign of punctuation (``**``, ``...``); case is dropped.
_WORD = re.compile(r"\w+|([^\w\s])\1*")
# The lines of tables, which would otherwise be a third of the test part, or many words that stand once.
_RULER = re.compile(r"([^\w\s])\1{3,}")


def split(text: str) -> list[str]:
    """The words and signs of a text; more than three equal signs in a row are three."""
    return [match.group() for match in _WORD.finditer(_RULER.sub(r"\1\1\1", text.lower()))]


class Pydoc(DocumentDataset):
    """The English help topics that CPython ships (``help('topics')``): about 97,000 words.

    Topics follow each other in alphabetical order; the first 80 % of the words are to train on, the next 10 % to
    choose by, the last 10 % to report on. The vocabulary are the 2,000 most frequent words of the training part
    (among equals the alphabet decides) and ``<unk>``. As documents, of every ten topics eight are to train on, the next
    to choose by, the last to report on: there are too few to follow the words. The topics, and so all figures, differ a
    little from one version of Python to the next.

    Args:
        name: the name under which it was configured.
    """

    words = FREQUENT + 1

    def __init__(self, name: str) -> None:
        super().__init__(name)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self._all[0]

    def train(self) -> Tensor:
        return self._part(0, PARTS[0])

    def valid(self) -> Tensor:
        return self._part(PARTS[0], PARTS[1])

    def test(self) -> Tensor:
        return self._part(PARTS[1], 1)

    def documents(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        _, tokens, lengths = self._all
        topics = list(torch.split(tokens, list(lengths)))
        dealt = [(topic, number % 10) for number, topic in enumerate(topics)]
        train, valid, test = range(8), range(8, 9), range(9, 10)
        parts = [[topic for topic, place in dealt if place in part] for part in (train, valid, test)]
        return parts[0], parts[1], parts[2]

    def _part(self, begin: float, end: float) -> Tensor:
        tokens = self._all[1]
        return tokens[int(begin * len(tokens)) : int(end * len(tokens))]

    @cached_property
    def _all(self) -> tuple[tuple[str, ...], Tensor, tuple[int, ...]]:
        """The vocabulary, all tokens in order, and how many of them each topic has."""
        try:
            from pydoc_data.topics import topics
        except ImportError:
            raise InputError(
                f"dataset {self.name}: this Python was installed without its help topics (pydoc_data)"
            ) from None
        texts = [split(topics[title]) for title in sorted(topics)]
        found = [word for text in texts for word in text]
        counts = Counter(found[: int(PARTS[0] * len(found))])
        frequent = sorted(counts, key=lambda word: (-counts[word], word))[:FREQUENT]
        vocabulary = (UNKNOWN, *frequent)
        numbers = {word: number for number, word in enumerate(vocabulary)}
        tokens = torch.tensor([numbers.get(word, 0) for word in found], dtype=torch.int64)
        return vocabulary, tokens, tuple(len(text) for text in texts)
