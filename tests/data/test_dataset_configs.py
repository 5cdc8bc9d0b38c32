"""Every dataset YAML against the constructor that it names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_class

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Dataset

FOLDER = Path(__file__).parents[2] / "configs" / "dataset"
MINE = [
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "image_folder",
    "imagenet",
    "imagenet16",
    "mini_imagenet",
    "mnist",
    "omniglot",
    "svhn",
    "tiny_imagenet",
]


def load(name: str) -> tuple[str, dict[str, Any]]:
    text = (FOLDER / f"{name}.yaml").read_text()
    return text, yaml.safe_load(text)


@pytest.mark.parametrize("name", MINE)
def test_yaml_lists_every_option_with_the_constructors_default(name: str) -> None:
    text, options = load(name)
    head, *lines = text.splitlines()
    assert head.startswith(f"# nas-run dataset={name}")
    assert all("  # " in line for line in lines if "_target_" not in line)
    kind = get_class(options.pop("_target_"))
    assert issubclass(kind, Dataset)
    augmentation = options["augmentation"]
    applied = get_class(augmentation.pop("_target_"))
    assert issubclass(applied, Augmentation)
    assert set(augmentation) == set(inspect.signature(applied).parameters)
    options["augmentation"] = applied(**augmentation)
    parameters = dict(inspect.signature(kind).parameters)
    assert next(iter(parameters)) == "name"
    del parameters["name"]
    assert options == {key: parameter.default for key, parameter in parameters.items()}


@pytest.mark.parametrize("name", MINE)
def test_making_one_reads_nothing_and_knows_its_name(name: str, tmp_path: Path) -> None:
    _, options = load(name)
    kind = get_class(options["_target_"])
    elsewhere = {"root": str(tmp_path / "nowhere")} if "root" in options else {}
    dataset = kind(name, **elsewhere)
    assert dataset.name == name
    if name != "image_folder":
        channels, height, width = dataset.input_shape
        assert channels in (1, 3)
        assert height == width
        assert dataset.classes >= 10
