"""Omniglot: handwritten characters of 50 alphabets, for few-shot learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from nas_cli.data.augmentation import PLAIN, Augmentation
from nas_cli.data.base import Images
from nas_cli.data.few_shot import FewShotDataset
from nas_cli.data.files import damaged, download
from nas_cli.data.pictures import decode_all
from nas_cli.errors import InputError, require

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
MD5 = {
    "images_background": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
}
SIZE = 28  # pixels, from 105
PER_CHARACTER = 20  # one by each of 20 people
SPLIT_SEED = 0  # of the fixed permutation of the characters: results of different runs must be about the same ones


class Omniglot(FewShotDataset):
    """1,623 characters, 20 images of each, from 105x105 black and white to 28x28 grey.

    They lie in root/omniglot-py/images_background/ALPHABET/character01/*.png and beside it images_evaluation. The
    characters of both are pooled, as in the papers on MAML, and split at random, the same way in every run.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        download: fetch the two archives if folders are missing.
        train_characters: so many are for meta-train, the rest for meta-test. Papers: 1,200.
        workers: threads that decode.
        augmentation: without use in episodes.
    Reference: Lake, Salakhutdinov, Tenenbaum, Human-level concept learning through probabilistic program induction,
        Science 2015; the split's sizes: Santoro et al., Meta-Learning with Memory-Augmented Neural Networks, ICML 2016.
    """

    input_shape = (1, SIZE, SIZE)
    classes = 1623

    def __init__(
        self,
        name: str,
        root: str = "data",
        download: bool = False,
        train_characters: int = 1200,
        workers: int = 2,
        augmentation: Augmentation = PLAIN,
    ) -> None:
        super().__init__(name, augmentation)
        require(train_characters >= 1, f"train_characters must be at least 1, not {train_characters}")
        require(workers >= 0, f"workers must be at least 0, not {workers}")
        self._folder = Path(root).expanduser() / "omniglot-py"
        self._fetch = download
        self._train_characters = train_characters
        self._workers = workers

    def meta_train(self) -> Images:
        return self._train

    def meta_test(self) -> Images:
        return self._test

    @cached_property
    def _train(self) -> Images:
        return self._read(self._characters[: self._train_characters])

    @cached_property
    def _test(self) -> Images:
        # Their mean and deviation are those of the training images.
        test = self._read(self._characters[self._train_characters :])
        test.mean, test.std = self._train.mean, self._train.std
        return test

    @cached_property
    def _characters(self) -> list[list[str]]:
        """The picture files of every character, characters in their fixed permutation."""
        found: list[list[str]] = []
        for part in MD5:
            folder = self._folder / part
            if not folder.is_dir() and self._fetch:
                download(self.name, f"{URL}{part}.zip", self._folder, MD5[part], extract=True)
            if not folder.is_dir():
                raise InputError(
                    f"dataset {self.name}: missing {folder}; put it there, set dataset.root, or dataset.download=true"
                )
            characters = sorted(path for path in folder.glob("*/*") if path.is_dir())
            if not characters:
                raise damaged(self.name, folder, "holds no characters (ALPHABET/character01/*.png)")
            for character in characters:
                pictures = sorted(str(path) for path in character.glob("*.png"))
                if len(pictures) != PER_CHARACTER:
                    raise damaged(self.name, character, f"holds {len(pictures)} pictures, not {PER_CHARACTER}")
                found.append(pictures)
        if self._train_characters >= len(found):
            raise InputError(
                f"dataset {self.name}: train_characters={self._train_characters}: must leave some of the {len(found)} "
                f"characters in {self._folder} for meta-test"
            )
        # RandomState, because numpy promises that its stream never changes; a Generator's may.
        return [found[index] for index in np.random.RandomState(SPLIT_SEED).permutation(len(found))]

    def _read(self, characters: Sequence[Sequence[str]]) -> Images:
        paths = [path for character in characters for path in character]
        pixels = decode_all(paths, 1, SIZE, self._workers)
        labels = torch.arange(len(characters)).repeat_interleave(PER_CHARACTER)
        values = pixels.double()
        return Images(pixels, labels, [float(values.mean())], [max(float(values.std()), 1.0)])
