"""Data sets made for few-shot learning: their test classes are not among their training classes."""

from __future__ import annotations

from abc import abstractmethod
from typing import NoReturn

from nas_cli.data.base import Dataset, Source
from nas_cli.errors import CombinationError


class FewShotDataset(Dataset):
    """A data set whose classes are split into meta-train and meta-test; episodes are all that can be made of it."""

    @abstractmethod
    def meta_train(self) -> Source:
        """Images of the classes to learn on, labels from 0. Raises `InputError` for missing or damaged files."""

    @abstractmethod
    def meta_test(self) -> Source:
        """Images of the other classes, labels from 0. Raises `InputError` for missing or damaged files."""

    def train(self) -> NoReturn:
        self._refuse()

    def test(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise CombinationError(
            f"dataset={self.name}: its test classes are not among its training classes, so no network can be trained "
            "on it as usual; few-shot methods can (strategy=tnas, evaluation=few_shot)"
        )
