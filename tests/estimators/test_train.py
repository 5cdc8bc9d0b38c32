"""The estimator that trains every candidate from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pytest
import torch
from made_up import CPU, MadeUp, architecture, space

from nas_cli.architecture import Architecture
from nas_cli.data.augmentation import Augmentation
from nas_cli.data.pydoc import Pydoc
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.train import Train
from nas_cli.hardware import Hardware
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.decisions import Real
from nas_cli.spaces.fractalnet import FractalSpace
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.learning import LearningProblem
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.tally import Tally
from nas_cli.training import Recipe

RECIPE = Recipe(epochs=2, batch_size=16)


def estimator(dataset: MadeUp | None = None, recipe: Recipe = RECIPE, seed: int = 0, split: float = 0.5) -> Train:
    return Train(space(), dataset or MadeUp(), CPU, seed, recipe, split)


def other() -> Architecture:
    cell = "skip_connect:0 + max_pool_3x3:1 | skip_connect:0 + skip_connect:2 ; concat 2,3"
    return Architecture("darts", (cell, cell))


def test_a_score_depends_on_architecture_seed_and_budget_alone() -> None:
    judge = estimator()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = judge.measure(architecture())
    between = judge.measure(other())
    again = judge.measure(architecture())
    assert (first.score, first.metrics) == (again.score, again.metrics)
    assert between.metrics != first.metrics
    assert torch.equal(torch.get_rng_state(), before)
    assert estimator(seed=1).measure(architecture()).metrics != first.metrics
    assert judge.measure(architecture(), budget=1).metrics != first.metrics
    assert judge.measure(architecture(), budget=2).metrics == first.metrics


def test_the_score_is_the_accuracy_on_the_other_part() -> None:
    found = estimator(MadeUp(images=40), split=0.75).measure(architecture())
    assert found.score == found.metrics["valid_accuracy"]
    assert set(found.metrics) == {"train_accuracy", "valid_loss", "valid_accuracy"}
    assert (found.score * 10) == pytest.approx(round(found.score * 10))  # 10 images are held out
    assert (found.metrics["train_accuracy"] * 30) == pytest.approx(round(found.metrics["train_accuracy"] * 30))
    assert found.cost_seconds > 0


def test_the_test_images_are_never_read_and_the_training_images_once() -> None:
    dataset = MadeUp()
    judge = estimator(dataset)
    assert dataset.reads == {"train": 0, "test": 0}
    judge.measure(architecture())
    judge.measure(other())
    assert dataset.reads == {"train": 1, "test": 0}


def test_a_longer_budget_learns_more() -> None:
    judge = estimator(MadeUp(images=80))
    assert judge.measure(architecture(), budget=15).score > judge.measure(architecture(), budget=1).score


def test_divergence_is_told() -> None:
    with pytest.raises(DivergedError):
        estimator(MadeUp(scale=0.0)).measure(architecture())


def test_ranges_and_combinations() -> None:
    with pytest.raises(InputError, match=r"recipe\.epochs must be at least 1, not 0"):
        estimator(recipe=Recipe(epochs=0))
    for split in (0.0, 1.0):
        with pytest.raises(InputError, match=f"split must be between 0 and 1, not {split}"):
            estimator(split=split)
    with pytest.raises(CombinationError, match="space=branin with estimator=train: makes no networks"):
        Train(Branin("branin"), MadeUp(), CPU, 0, RECIPE)


def test_what_does_not_fit_is_refused_before_data_is_read() -> None:
    with pytest.raises(CombinationError, match=r"^estimator\.recipe\.auxiliary_weight=0\.4: .* have no auxiliary head"):
        Train(NasBench201("nasbench201"), MadeUp(), CPU, 0, Recipe(auxiliary_weight=0.4))
    dataset = MadeUp(augmentation=Augmentation(crop_padding=8))
    with pytest.raises(InputError, match=r"augmentation\.crop_padding=8: must be below the image side 8"):
        estimator(dataset).measure(architecture())
    assert dataset.reads == {"train": 0, "test": 0}


def test_data_are_read_when_it_gets_ready() -> None:
    dataset = MadeUp()
    judge = estimator(dataset)
    judge.prepare()
    assert dataset.reads == {"train": 1, "test": 0}
    judge.measure(architecture())
    assert dataset.reads == {"train": 1, "test": 0}


def test_images_that_are_too_small_are_refused_when_it_gets_ready() -> None:
    dataset = MadeUp()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(InputError, match="images of 8x8 cannot be halved 4 times"):
        Train(FractalSpace("fractalnet", widths=(8, 8, 8, 8)), dataset, CPU, 0, RECIPE).prepare()
    assert dataset.reads == {"train": 0, "test": 0}
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_fails_in_another_way_fails_in_its_own_trial() -> None:
    class Faulty(NasBench201):
        def build(self, *given: Any, **options: Any) -> NoReturn:
            raise ValueError("not this one")

    judge = Train(Faulty("nasbench201"), MadeUp(), CPU, 0, RECIPE)
    judge.prepare()
    with pytest.raises(ValueError, match="not this one"):
        judge.measure(judge.learner.space.sample(numpy_generator(0)))  # type: ignore[attr-defined]


def test_the_best_of_the_last_epochs_is_the_score() -> None:
    """All epochs are those of one training, which is the same however many of them are judged."""
    dataset, recipe = MadeUp(), Recipe(epochs=4, batch_size=10, learning_rate=0.3)
    accuracies: list[float] = []
    tallied = Tally.metrics

    def noted(self: Tally, prefix: str) -> dict[str, float]:
        found = tallied(self, prefix)
        accuracies.extend(found["valid_accuracy"] for _ in range(prefix == "valid"))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tally, "metrics", noted)
        found = {
            last: Train(space(), dataset, CPU, 1, recipe, best_of_last=last).measure(architecture())
            for last in (4, 1, 3, 9)
        }
    every = accuracies[:4]
    assert accuracies[4:] == [*every[-1:], *every[-3:], *every]
    assert max(every) > max(every[-3:])  # so that it makes a difference
    assert [found[last].score for last in (1, 3, 4, 9)] == [every[-1], max(every[-3:]), max(every), max(every)]
    assert all(each.score == each.metrics["valid_accuracy"] for each in found.values())
    with pytest.raises(InputError, match="best_of_last must be at least 1, not 0"):
        Train(space(), dataset, CPU, 0, recipe, best_of_last=0)


class Counted(LearningProblem):
    """Learns nothing, and says what it was asked."""

    score_name = "answer"

    def __init__(self) -> None:
        super().__init__("counted")
        self.reads = 0

    @property
    def decisions(self) -> tuple[Real, ...]:
        return (Real("x", 0.0, 1.0),)

    def read(self, dataset: Any, split: float, hardware: Hardware) -> float:
        self.reads += 1
        return split

    def learn(self, architecture: Architecture, data: Any, seed: int, budget: float | None) -> Mapping[str, float]:
        return {"answer": self.values(architecture)["x"] + data, "seed": seed, "budget": budget or 0.0}


def test_a_learning_problem_learns_by_itself() -> None:
    problem = Counted()
    judge = Train(problem, MadeUp(), CPU, 7, RECIPE, 0.25)
    found = judge.measure(problem.decode((0.5,)), budget=3)
    assert judge.score_name == "answer"
    assert found.score == 0.75
    assert found.metrics["budget"] == 3
    assert judge.measure(problem.decode((0.5,))).metrics["seed"] == found.metrics["seed"]
    assert judge.measure(problem.decode((0.6,))).metrics["seed"] != found.metrics["seed"]
    assert problem.reads == 1


def test_data_of_another_kind_are_refused() -> None:
    for learner in (Counted(), space()):
        with pytest.raises(CombinationError, match=f"dataset=pydoc with space={learner.name}: it learns from images"):
            Train(learner, Pydoc("pydoc"), CPU, 0, RECIPE)
