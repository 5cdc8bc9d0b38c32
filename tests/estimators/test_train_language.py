"""The estimator that trains a language model of every candidate from scratch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import CPU, MadeUp, space
from made_up_text import MadeUpText, recurrent_cell, recurrent_space

from nas_cli.architecture import Architecture
from nas_cli.config import compose
from nas_cli.data.sequences import Spread
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.train import Train
from nas_cli.estimators.train_language import TrainLanguage
from nas_cli.executors.serial import Serial
from nas_cli.language_training import LanguageRecipe, LanguageTraining
from nas_cli.session import _Parts
from nas_cli.spaces.recurrent_tree import RecurrentTreeSpace
from nas_cli.strategies.black_box.random import Random
from nas_cli.strategies.black_box.search import BlackBoxSearch
from nas_cli.training import Recipe

TREE = Architecture("recurrent_tree", ("add tanh | add relu | mul sigmoid ; inject add tanh ; c_out 1 ; c_in 0",))


def recipe(**options: Any) -> LanguageRecipe:
    given = {"epochs": 2, "batch_size": 10, "valid_batch_size": 5, "lengths": Spread(6, 0.1, 1.0)}
    return LanguageRecipe(**{**given, **options})


def estimator(dataset: MadeUpText | None = None, seed: int = 0, **options: Any) -> TrainLanguage:
    return TrainLanguage(recurrent_space(), dataset or MadeUpText(), CPU, seed, recipe(**options))


def trees(dataset: MadeUpText | None = None, seed: int = 0, **options: Any) -> TrainLanguage:
    made = RecurrentTreeSpace("recurrent_tree", hidden=8, layers=2)
    return TrainLanguage(made, dataset or MadeUpText(), CPU, seed, recipe(**options))


@pytest.mark.parametrize(("made", "cell"), [(estimator, recurrent_cell()), (trees, TREE)])
def test_a_score_depends_on_architecture_seed_and_budget_alone(
    made: Callable[..., TrainLanguage], cell: Architecture
) -> None:
    judge = made()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = judge.measure(cell)
    shorter = judge.measure(cell, budget=1)
    again = judge.measure(cell)
    assert (first.score, first.metrics) == (again.score, again.metrics)
    assert first.metrics == made().measure(cell, budget=2).metrics
    assert shorter.metrics != first.metrics
    assert torch.equal(torch.get_rng_state(), before)
    assert made(seed=1).measure(cell).metrics != first.metrics


def test_the_score_is_the_perplexity_on_the_validation_text_of_the_best_epoch() -> None:
    judge = estimator(epochs=5, learning_rate=200.0)  # so fast that not every epoch is better than the last
    found = judge.measure(recurrent_cell())
    assert judge.score_name == "negative_valid_perplexity"
    assert found.score == -found.metrics["valid_perplexity"]
    assert set(found.metrics) == {"train_loss", "train_perplexity", "valid_loss", "valid_perplexity"}
    assert found.cost_seconds > 0
    seed = 0
    lines: list[dict[str, Any]] = []
    step = LanguageTraining.step

    def noted(self: LanguageTraining) -> dict[str, Any] | None:
        nonlocal seed
        seed = self.seed
        if (metrics := step(self)) is not None:
            lines.append(metrics)
        return metrics

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageTraining, "step", noted)
        judge.measure(recurrent_cell())
    perplexities = [line["valid_perplexity"] for line in lines]
    assert perplexities[-1] > min(perplexities) == found.metrics["valid_perplexity"]


def test_the_test_text_is_never_read() -> None:
    dataset = MadeUpText()
    judge = estimator(dataset)
    assert dataset.reads == {"train": 0, "valid": 0, "test": 0}
    judge.measure(recurrent_cell())
    assert dataset.reads["test"] == 0
    assert dataset.reads["train"] > 0


def test_a_longer_budget_learns_more() -> None:
    judge = trees()
    assert judge.measure(TREE, budget=8).score > judge.measure(TREE, budget=1).score


def test_divergence_is_told() -> None:
    cell = "add identity | add identity | add identity ; inject add identity ; c_out 2 ; c_in 2"
    with pytest.raises(DivergedError):
        trees(learning_rate=1e6).measure(Architecture("recurrent_tree", (cell,)))


def test_ranges_and_combinations() -> None:
    with pytest.raises(InputError, match=r"recipe\.epochs must be at least 1, not 0"):
        estimator(epochs=0)
    with pytest.raises(CombinationError, match=r"space=darts .*: makes no language models; take estimator=train"):
        TrainLanguage(space(), MadeUpText(), CPU, 0, recipe())
    with pytest.raises(CombinationError, match="dataset=made_up with space=darts_recurrent: it learns from text"):
        TrainLanguage(recurrent_space(), MadeUp(), CPU, 0, recipe())
    with pytest.raises(CombinationError, match="makes language models; take estimator=train_language"):
        Train(recurrent_space(), MadeUpText(), CPU, 0, Recipe())


@pytest.mark.slow  # the next one is of the same loop, without the command
def test_it_judges_for_a_black_box_strategy(run: Callable[..., int], tmp_path: Path) -> None:
    tiny = ["estimator.recipe.batch_size=512", "estimator.recipe.valid_batch_size=256", "space.hidden=4"]
    chosen = ["strategy=random", "strategy.evaluations=1", "space=recurrent_tree"]
    assert run("nas-run", *chosen, *tiny, "hydra.run.dir=out") == 0
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert result["score"] == "negative_valid_perplexity"
    assert result["best"]["score"] == -result["best"]["metrics"]["valid_perplexity"]
    assert "inject" in (tmp_path / "out/architecture.svg").read_text()


def test_a_resumed_search_is_the_undisturbed_one() -> None:
    """The state is that between two candidates: one that was being trained is trained again."""

    def search() -> BlackBoxSearch:
        judge = trees(epochs=1)
        return BlackBoxSearch(Random(judge.space, seed=5, evaluations=4), judge, Serial())

    def finish(made: BlackBoxSearch, steps: int) -> list[tuple[Architecture, float | None]]:
        found = []
        for _ in range(steps):
            (trial,) = made.step().trials
            made.tell(trial)
            found.append((trial.architecture, trial.score))
        return found

    whole = finish(search(), 4)
    first, second = search(), search()
    begun = finish(first, 2)
    second.load_state_dict(first.state_dict())
    assert begun + finish(second, 2) == whole
    assert second.done


def test_it_judges_cells_of_other_spaces_too() -> None:
    chosen = ["strategy=random", "space=darts_recurrent", "estimator=train_language", "dataset=pydoc"]
    made = _Parts({"command": "search", **compose("search", chosen)})
    assert made.search.score_name == "negative_valid_perplexity"
