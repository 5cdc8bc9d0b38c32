"""Options of a recipe: what they change, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import CPU, MadeUp, architecture, space
from torch import nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, InputError
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.optimizers import Sgd
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.spaces.nasnet import NasNetSpace
from nas_cli.training import Recipe, Training

DATASET = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))


def test_drop_path_needs_paths() -> None:
    other, dataset = NasBench201("nasbench201", channels=2, cells=3), MadeUp()
    cell = other.decode(["nor_conv_3x3"] * 6)
    with pytest.raises(InputError, match=r"drop_path=0\.3: networks of space nasbench201 have no paths to drop"):
        Training(Recipe(drop_path=0.3, batch_size=16), cell, other, dataset, dataset.train(), CPU, 0)
    Training(Recipe(drop_path=0.0, batch_size=16), cell, other, dataset, dataset.train(), CPU, 0).step()


def test_an_option_that_the_space_does_not_know() -> None:
    other, dataset = NasBench201("nasbench201", channels=2, cells=3), MadeUp()
    recipe = Recipe(auxiliary_weight=0.4)
    with pytest.raises(CombinationError) as caught:
        recipe.build(other.decode(["none"] * 6), other, dataset)
    assert str(caught.value) == (
        "auxiliary_weight=0.4: networks of space nasbench201 have no auxiliary head; set it to 0"
    )


class Odd(NasBench201):
    """Its networks have a width of their own, and their maker has a mistake in it."""

    def build(self, architecture: Any, input_shape: Any, classes: int, cells: int = 3) -> Any:  # type: ignore[override]
        return len(cells)  # type: ignore[arg-type]


class Open(NasBench201):
    """Takes whatever it is asked for."""

    def build(self, architecture: Any, input_shape: Any, classes: int, **network: Any) -> Any:
        return network


def test_an_option_is_looked_up_and_mistakes_of_a_space_are_told_as_they_are() -> None:
    odd = Odd("odd", channels=2, cells=3)
    cell = odd.decode(["none"] * 6)
    with pytest.raises(
        CombinationError, match=r"^evaluation\.channels=4: networks of space odd have no channels to set"
    ):
        Recipe(channels=4).check(odd, "evaluation.")
    with pytest.raises(TypeError, match="has no len"):
        Recipe(cells=3).build(cell, odd, DATASET)
    taken = Recipe(channels=4, auxiliary_weight=0.1).build(cell, Open("open", channels=2, cells=3), DATASET)
    assert taken == {"channels": 4, "auxiliary": True}
    taken = Recipe(stem="imagenet", auxiliary_norm=False).build(cell, Open("open", channels=2, cells=3), DATASET)
    assert taken == {"stem": "imagenet", "auxiliary_norm": False}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(stem="imagenet"), "stem=imagenet: networks of space nasbench201 have no stem to set; set it to null"),
        (
            Recipe(auxiliary_norm=False),
            "auxiliary_norm=False: networks of space nasbench201 have no auxiliary_norm to set; set it to true",
        ),
    ],
)
def test_options_of_the_imagenet_network_are_refused_elsewhere(recipe: Recipe, message: str) -> None:
    with pytest.raises(CombinationError) as caught:
        recipe.check(NasBench201("nasbench201", channels=2, cells=3))
    assert str(caught.value) == message


@pytest.mark.parametrize(("own", "recipes", "used"), [(3, None, 3), (3, 0, 0), (0, 2, 2)])
def test_the_recipes_cutout_replaces_the_data_sets_where_it_is_set(own: int, recipes: int | None, used: int) -> None:
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, cutout=own))
    made = Training(Recipe(cutout=recipes), architecture(), space(), dataset, dataset.train(), CPU, 0)
    assert made.loader._augmentation == Augmentation(crop_padding=1, cutout=used)


def test_a_cutout_larger_than_the_images() -> None:
    with pytest.raises(InputError, match=r"^cutout=16: must be at most the image side 8 \(images are 8x8\)$"):
        Recipe(cutout=16).augmentation(DATASET)
    with pytest.raises(InputError, match=r"^augmentation\.cutout=9: must be at most the image side 8"):
        Recipe().augmentation(MadeUp(augmentation=Augmentation(cutout=9)))


def test_the_recipes_size_replaces_the_spaces_own() -> None:
    def width(recipe: Recipe) -> tuple[int, int]:
        network = recipe.build(architecture(), space(channels=2, cells=2), DATASET)
        assert isinstance(network, CellNetwork)
        return len(next(network.stem.parameters())), len(network.cells)  # three times the channels of a cell

    assert width(Recipe()) == (6, 2)
    assert width(Recipe(channels=6, cells=1)) == (18, 1)


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ("epochs", -1),
        ("batch_size", 0),
        ("batch_size", 1),
        ("channels", 0),
        ("channels", -4),
        ("cells", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -0.1),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("weight_decay", -1.0),
        ("gradient_clip", 0.0),
        ("drop_path", 1.0),
        ("drop_path", -0.1),
        ("auxiliary_weight", -0.4),
        ("cutout", -1),
        ("label_smoothing", 1.0),
    ],
)
def test_ranges_of_a_recipe(option: str, bad: float) -> None:
    with pytest.raises(InputError, match=rf"^{option} must be .*, not {bad}$"):
        Recipe(**{option: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": Sgd(nesterov=True), "momentum": 0.0}, "nesterov: needs a momentum above 0, not 0.0"),
        ({"weight_average": 1.0}, r"weight_average must be in \[0, 1\)"),
    ],
)
def test_options_of_steps_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**options)


def test_other_options_of_a_spaces_networks() -> None:
    cells = NasNetSpace("nasnet", ["identity", "conv_1x1"], blocks=1)
    cell, dataset = cells.decode((0, 1, "identity", "conv_1x1", "add") * 2), MadeUp()
    network = Recipe(network={"dropout": 0.25}).build(cell, cells, dataset)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.25]
    for options, message in (
        (
            {"drop_out": 0.5},
            r"^evaluation\.network\.drop_out=0\.5: networks .* have no drop_out .*did you mean dropout\?",
        ),
        ({"dropout": "half"}, r"network\.dropout=half: must be a number"),
        ({"classes": 3}, r"network\.classes=3: networks of space nasnet have no classes to set"),
    ):
        with pytest.raises(CombinationError, match=message):
            Recipe(network=options).check(cells, "evaluation.")
    with pytest.raises(CombinationError, match=r"networks of space nasbench201 have no dropout to set"):
        Recipe(network={"dropout": 0.5}).check(NasBench201("nasbench201", channels=2, cells=3))
