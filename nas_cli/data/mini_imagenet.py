"""Mini-ImageNet: 100 classes of ImageNet, split for few-shot learning by Ravi and Larochelle."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path

import torch

from nas_cli.data.augmentation import PLAIN, Augmentation
from nas_cli.data.base import Images
from nas_cli.data.few_shot import FewShotDataset
from nas_cli.data.files import damaged, one_line
from nas_cli.data.pictures import decode_all
from nas_cli.errors import InputError, require

SIZE = 84
HEADER = ["filename", "label"]
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, as the papers' code has it


class MiniImagenet(FewShotDataset):
    """Colour 84x84 photographs in 64 training, 16 validation and 20 test classes of 600.

    root/mini-imagenet holds train.csv, val.csv and test.csv (columns filename, label) and images/*.jpg. Pictures of
    another size are cut to their central square and resized.

    Args:
        name: the name under which it was configured.
        root: folder of data sets.
        validation: whether the 16 validation classes are learnt on too; else they are unused.
        workers: threads that decode; all images are held in memory, 776 + 242 MiB.
        augmentation: without use in episodes.
    Reference: Vinyals et al., Matching Networks for One Shot Learning, NeurIPS 2016, arXiv:1606.04080; the split: Ravi
        and Larochelle, Optimization as a Model for Few-Shot Learning, ICLR 2017.
    """

    input_shape = (3, SIZE, SIZE)
    classes = 100

    def __init__(
        self,
        name: str,
        root: str = "data",
        validation: bool = False,
        workers: int = 2,
        augmentation: Augmentation = PLAIN,
    ) -> None:
        super().__init__(name, augmentation)
        require(workers >= 0, f"workers must be at least 0, not {workers}")
        self._folder = Path(root).expanduser() / "mini-imagenet"
        self._validation = validation
        self._workers = workers

    def meta_train(self) -> Images:
        return self._train

    def meta_test(self) -> Images:
        return self._test

    @cached_property
    def _train(self) -> Images:
        parts = ("train", "val") if self._validation else ("train",)
        return self._source([row for part in parts for row in self._lists[part]])

    @cached_property
    def _test(self) -> Images:
        return self._source(self._lists["test"])

    @cached_property
    def _lists(self) -> dict[str, list[tuple[str, str]]]:
        """(picture file, class) of every part."""
        lists = {part: self._listed(self._folder / f"{part}.csv") for part in ("train", "val", "test")}
        seen: dict[str, str] = {}
        for part, rows in lists.items():
            for label in sorted({label for _, label in rows}):
                if label in seen:
                    path = self._folder / f"{part}.csv"
                    raise damaged(self.name, path, f"class {label} is in {seen[label]}.csv too")
                seen[label] = part
        return lists

    def _listed(self, path: Path) -> list[tuple[str, str]]:
        if not path.is_file():
            raise InputError(
                f"dataset {self.name}: missing {path}; make it from ImageNet with the split of Ravi and Larochelle "
                "(train.csv, val.csv, test.csv, images/*.jpg), put it there, or set dataset.root"
            )
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise damaged(self.name, path, f"cannot be read ({one_line(error)})") from None
        if not rows or rows[0] != HEADER:
            raise damaged(self.name, path, f"its first line must be {','.join(HEADER)}")
        if len(rows) == 1:
            raise damaged(self.name, path, "lists no pictures")
        listed = []
        for number, row in enumerate(rows[1:], start=2):
            if len(row) != len(HEADER) or not all(row):
                raise damaged(self.name, path, f"line {number} must be a file name and a class, not {','.join(row)!r}")
            picture = self._folder / "images" / row[0]
            if picture.parent != self._folder / "images":
                raise damaged(self.name, path, f"line {number}: {row[0]} is no plain file name")
            if not picture.is_file():
                raise InputError(f"dataset {self.name}: missing {picture}, which {path.name} lists in line {number}")
            listed.append((str(picture), row[1]))
        return listed

    def _source(self, rows: list[tuple[str, str]]) -> Images:
        classes = {label: place for place, label in enumerate(sorted({label for _, label in rows}))}
        paths = [path for path, _ in rows]
        labels = torch.tensor([classes[label] for _, label in rows])
        return Images(decode_all(paths, 3, SIZE, self._workers), labels, MEAN, STD)
