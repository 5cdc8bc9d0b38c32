"""The few-shot evaluation: counts, training, test on other classes, resuming, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, architecture, space

from nas_cli import published
from nas_cli.data.digits import Digits
from nas_cli.data.episodes import Episodes
from nas_cli.data.mini_imagenet import MiniImagenet
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.evaluation import Evaluation
from nas_cli.few_shot import FewShotRecipe, FewShotTraining
from nas_cli.schedules import Cosine
from nas_cli.spaces.few_shot_darts import FewShotDarts
from nas_cli.spaces.functions import Branin

EPISODES = Episodes(ways=2, shots=2, queries=3, train_classes=2)
PLUS: dict[str, Any] = {
    "annealing": 2,
    "learn_rates": True,
    "step_norms": True,
    "second_order_from": 1,
    "schedule": Cosine(1e-5),
}


def recipe(**options: Any) -> FewShotRecipe:
    small = {"epochs": 2, "tasks": 4, "meta_batch": 2, "test_tasks": 3, "steps": 2, "test_steps": 3}
    return FewShotRecipe(**{"episodes": EPISODES, **small, **options})


def training(seed: int = 0, dataset: MadeUp | None = None, **options: Any) -> FewShotTraining:
    return recipe(**options).training(architecture(), space(), dataset or MadeUp(), CPU, seed)


def finish(made: FewShotTraining) -> list[dict[str, Any]]:
    lines = []
    while not made.done:
        line = made.step()
        lines += [line] if line else []
    return lines


def test_one_line_an_epoch_and_a_test_on_other_classes() -> None:
    made = training()
    assert made.total_steps == 4
    lines = finish(made)
    assert [(line["epoch"], line["step"], line["learning_rate"]) for line in lines] == [(0, 2, 1e-3), (1, 4, 1e-3)]
    assert lines[0]["train_accuracy"] * 24 == pytest.approx(round(lines[0]["train_accuracy"] * 24))  # of 4 x 6 queries
    tested = made.tested()
    assert set(tested) == {"test_query_accuracy", "test_query_accuracy_ci95", "test_query_loss", "test_tasks"}
    assert tested["test_tasks"] == 3
    assert made.tested() == tested  # and it leaves nothing behind
    assert made._train.classes == 8
    assert made._test.classes == 4


@pytest.mark.parametrize("options", [{}, PLUS])
def test_resumed_it_is_the_same_bit_for_bit(options: dict[str, Any]) -> None:
    torch.manual_seed(8)
    before = torch.get_rng_state()
    whole = training(**options)
    lines = finish(whole)
    assert torch.equal(torch.get_rng_state(), before)
    first = training(**options)
    head = [line for line in [first.step()] if line]
    second = training(**options)
    second.load_state_dict(saved(first.state_dict()))
    assert head + finish(second) == lines
    assert second.tested() == whole.tested()


@pytest.mark.parametrize("options", [{}, PLUS])
def test_each_query_is_counted_once(options: dict[str, Any]) -> None:
    made = training(**options)
    made.step()
    assert made._tally.images == 2 * 6


def test_maml_plus_moves_rates_and_norms_and_its_own_rate_falls() -> None:
    made = training(**PLUS)
    lines = finish(made)
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-3, (1e-3 + 1e-5) / 2])
    state = made.learner.state_dict()
    assert all((values != 0.1).any() for values in state["rates"].values())
    scale = next(values for name, values in state["norms"].items() if name.endswith("weight"))
    assert not torch.equal(scale[0], scale[1])


def test_it_learns() -> None:
    """Digits with a small cell: well above the chance of a third after a few meta-batches."""
    made = recipe(
        episodes=Episodes(), epochs=1, tasks=16, meta_batch=4, test_tasks=8, inner_rate=0.1, steps=2, test_steps=4
    ).training(architecture(), space(channels=4), Digits("digits"), CPU, 0)
    finish(made)
    assert made.tested()["test_query_accuracy"] > 0.6


def test_parameters_and_multiply_adds_of_the_published_networks() -> None:
    made = FewShotRecipe(episodes=Episodes(ways=5, rotations=False), epochs=0)
    where, dataset = FewShotDarts("few_shot_darts", ("skip_connect",)), MiniImagenet("mini_imagenet", "nowhere")
    for name, expected in {"auto_maml_1shot": (23_213, 25_958_512), "auto_maml_5shot": (26_061, 27_713_488)}.items():
        counts = made.counts(published.load(name), where, dataset)
        assert (counts["params"], counts["macs"], counts["classes"]) == (*expected, 5)


def test_an_evaluation_reports_what_the_queries_say() -> None:
    made = Evaluation(recipe(), architecture(), space(), MadeUp(), CPU, 0)
    assert made.score_name == "test_query_accuracy"
    while not made.done:
        for trial in made.step().trials:
            made.tell(trial)
    best = made.best()
    assert best.score == best.metrics["test_query_accuracy"]
    assert best.metrics["classes"] == 2
    made.confirm(made.state_dict())


def test_a_bad_loss_stops_before_anything_is_changed() -> None:
    made = training(dataset=MadeUp(scale=0.0))
    before = {name: value.clone() for name, value in made.network.named_parameters()}
    with pytest.raises(DivergedError, match="a loss of the inner loop is nan"):
        made.step()
    assert all(torch.equal(value, before[name]) for name, value in made.network.named_parameters())


def test_combinations() -> None:
    with pytest.raises(CombinationError, match="space=branin: makes no image networks"):
        recipe().check_parts(Branin("branin"), MadeUp())
    with pytest.raises(CombinationError, match="has no images to make tasks of"):
        recipe().check_parts(space(), object())
    where = FewShotDarts("few_shot_darts", ("skip_connect",))
    recipe(channels=4).check_parts(where, MadeUp())
    with pytest.raises(CombinationError, match=r"evaluation\.cells=3: networks of space few_shot_darts have no cells"):
        recipe(cells=3).check_parts(where, MadeUp())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": -1}, "epochs must be at least 0, not -1"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"tasks": 3}, "tasks must be a positive multiple of meta_batch=2, not 3"),
        ({"inner_rate": 0.0}, "inner_rate must be above 0, not 0.0"),
        ({"second_order_from": -1}, "second_order_from must be at least 0 or null, not -1"),
        ({"cells": 0}, "cells must be at least 1 or null, not 0"),
    ],
)
def test_ranges(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        recipe(**options)
