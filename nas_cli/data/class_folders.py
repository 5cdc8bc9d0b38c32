"""Pictures that lie in one folder per class."""

from __future__ import annotations

import os
from pathlib import Path

from nas_cli.data.pictures import ENDINGS
from nas_cli.errors import InputError


def folders(folder: Path) -> list[Path]:
    """The visible folders inside a folder, sorted; none where it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def pictures(folder: Path) -> list[str]:
    """The visible picture files in a folder, sorted; none where it is not there."""
    if not folder.is_dir():
        return []
    # Not Path.iterdir: it would ask the disk about each of ImageNet's million files once more.
    with os.scandir(folder) as entries:
        return sorted(
            entry.path
            for entry in entries
            if os.path.splitext(entry.name)[1].lower() in ENDINGS and entry.name[0] != "." and entry.is_file()
        )


def classes_in(name: str, folder: Path) -> tuple[list[str], list[str], list[int]]:
    """The class names in sorted order, all their pictures class by class, and the number of each picture's class.

    Args:
        name: of the data set.
        folder: holds a folder of pictures for each class.
    Raises: InputError for a class without pictures.
    """
    names, paths, labels = [], [], []
    for label, inner in enumerate(folders(folder)):
        found = pictures(inner)
        if not found:
            raise InputError(f"dataset {name}: class folder {inner} holds no pictures")
        names.append(inner.name)
        paths += found
        labels += [label] * len(found)
    return names, paths, labels


def check_same_classes(name: str, train: Path, trained: list[str], test: Path, tested: list[str]) -> None:
    """Raise `InputError` unless the folders of the training and of the test pictures hold the same classes."""
    if trained != tested:
        odd = ", ".join(sorted(set(trained) ^ set(tested)))
        raise InputError(f"dataset {name}: classes in only one of {train} and {test}: {odd}")
