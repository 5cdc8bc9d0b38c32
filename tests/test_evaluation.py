"""The evaluation of one architecture: what is refused before data is read, and the seconds it reports."""

from __future__ import annotations

import pytest
from made_up import CPU, MadeUp, architecture, space

from nas_cli import evaluation
from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, InputError
from nas_cli.evaluation import Evaluation
from nas_cli.journal import Trial
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.training import Recipe


def evaluate(recipe: Recipe, dataset: MadeUp | None = None) -> Evaluation:
    return Evaluation(recipe, architecture(), space(), dataset or MadeUp(), CPU, 0)


def test_an_option_that_the_networks_lack_is_refused_at_once() -> None:
    other = NasBench201("nasbench201", channels=2, cells=3)
    cell = other.decode(["none"] * 6)
    with pytest.raises(CombinationError) as caught:
        Evaluation(Recipe(auxiliary_weight=0.4), cell, other, MadeUp(), CPU, 0)
    assert str(caught.value) == (
        "evaluation.auxiliary_weight=0.4: networks of space nasbench201 have no auxiliary head; set it to 0"
    )


@pytest.mark.parametrize(
    ("recipe", "augmentation", "told"),
    [
        (Recipe(cutout=16), Augmentation(), "cutout=16: must be at most the image side 8"),
        (Recipe(), Augmentation(cutout=9), r"augmentation\.cutout=9: must be at most the image side 8"),
        (Recipe(), Augmentation(crop_padding=8), r"augmentation\.crop_padding=8: must be below the image side 8"),
    ],
)
def test_augmentation_that_does_not_fit_is_refused_before_data_is_read(
    recipe: Recipe, augmentation: Augmentation, told: str
) -> None:
    dataset = MadeUp(augmentation=augmentation)
    made = evaluate(recipe, dataset)
    with pytest.raises(InputError, match=told):
        made.step()
    assert dataset.reads == {"train": 0, "test": 0}


def test_paths_to_drop_that_are_not_there_are_told_before_data_is_read() -> None:
    other, dataset = NasBench201("nasbench201", channels=2, cells=3), MadeUp()
    made = Evaluation(Recipe(drop_path=0.2), other.decode(["none"] * 6), other, dataset, CPU, 0)
    with pytest.raises(CombinationError, match=r"drop_path=0\.2: networks of space nasbench201 have no paths"):
        made.step()
    assert dataset.reads == {"train": 0, "test": 0}


class Clock:
    """Two seconds pass from one look to the next."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        self.now += 2.0
        return self.now


def finish(made: Evaluation) -> Trial:
    while True:
        step = made.step()
        if step.trials:
            return step.trials[0]


def test_seconds_are_those_of_all_sittings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "time", Clock(1000.0))
    first = evaluate(Recipe(epochs=1, batch_size=8))
    first.step()
    state = first.state_dict()
    monkeypatch.setattr(evaluation, "time", Clock(9000.0))
    second = evaluate(Recipe(epochs=1, batch_size=8))
    second.load_state_dict(state)
    trial = finish(second)
    # 40 images in batches of 8: one step of two seconds before, four after; the last one also tests.
    assert trial.cost_seconds == 10.0
    assert (trial.started, trial.finished) == (9006.0, 9016.0)
