"""Training a language model from scratch, and the evaluation phase round it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, architecture, space
from made_up_text import MadeUpText, recurrent_cell, recurrent_space

from nas_cli import published
from nas_cli.data.sequences import Spread
from nas_cli.data.text import PennTreebank, WikiText2
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.evaluation import Evaluation
from nas_cli.journal import Trial
from nas_cli.language_training import LanguageRecipe, LanguageTraining
from nas_cli.networks.recurrent import NO_DROPOUT, Dropouts
from nas_cli.training import Recipe

SMALL = {"batch_size": 10, "valid_batch_size": 5, "lengths": Spread(6, 0.1, 1.0), "dropouts": Dropouts(word=0.05)}


def recipe(**options: Any) -> LanguageRecipe:
    return LanguageRecipe(**{**SMALL, "epochs": 3, **options})


def training(dataset: MadeUpText | None = None, seed: int = 0, **options: Any) -> LanguageTraining:
    made = recipe(**options)
    return made.training(recurrent_cell(), recurrent_space(), dataset or MadeUpText(), CPU, seed)


def finish(made: LanguageTraining) -> list[dict[str, Any]]:
    lines = []
    while not made.done:
        if (metrics := made.step()) is not None:
            lines.append(metrics)
    return lines


def test_it_learns_the_ring() -> None:
    made = training(MadeUpText(train=1800), epochs=8, learning_rate=10.0, dropouts=NO_DROPOUT)
    lines = finish(made)
    assert [line["epoch"] for line in lines] == list(range(8))
    assert lines[-1]["train_perplexity"] < 8 < lines[0]["train_perplexity"]  # guessing has 12, the ring itself 2.4
    tested = made.tested()
    assert tested["test_perplexity"] < 8
    assert tested["valid_perplexity"] == min(line["valid_perplexity"] for line in lines)
    assert lines[int(tested["best_epoch"])]["valid_perplexity"] == tested["valid_perplexity"]


@pytest.mark.parametrize("stop", [1, 16, 20, 47])
def test_resumed_it_is_bit_for_bit_the_same(stop: int) -> None:
    options = {"epochs": 4, "patience": 0, "learning_rate": 60.0}  # averaging soon begins
    whole = training(**options)
    lines = finish(whole)
    assert any(line["averaging"] for line in lines)
    first = training(**options)
    for _ in range(stop):
        first.step()
    second = training(**options)
    second.load_state_dict(saved(first.state_dict()))
    assert finish(second) == lines[stop // len(first.walk) :]
    assert second.tested() == whole.tested()
    for one, other in zip(whole.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_seed_is_another_training() -> None:
    assert finish(training(epochs=1))[0] != finish(training(epochs=1, seed=1))[0]


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    made = training()
    made.step()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_rate_of_a_step_goes_by_its_length() -> None:
    made = training(lengths=Spread(6, 0.5, 1.0), dropouts=NO_DROPOUT, temporal=0.0, weight_decay=0.0)
    for _ in range(12):
        begin = made.walk.begin
        before = [parameter.detach().clone() for parameter in made.network.parameters()]
        made.step()
        length = (made.walk.begin or len(made.walk.text) - 1) - begin
        rate = 20.0 * length / 6
        for parameter, old in zip(made.network.parameters(), before, strict=True):
            assert parameter.grad is not None
            assert torch.allclose(parameter, old - rate * parameter.grad, atol=1e-6)


def test_the_gradient_is_clipped() -> None:
    made = training(gradient_clip=0.01)
    made.step()
    slopes = [parameter.grad for parameter in made.network.parameters() if parameter.grad is not None]
    assert torch.stack([slope.norm() for slope in slopes]).norm() <= 0.01 * 1.001


def test_the_state_is_carried_on_and_begins_anew_with_the_text() -> None:
    made = training()
    assert made._hidden is None
    given = []
    forward = made.network.layer.forward

    def watched(x: torch.Tensor, hidden: torch.Tensor, *further: object) -> torch.Tensor:
        if made.network.training:
            given.append(hidden.clone())
        return forward(x, hidden, *further)

    made.network.layer.forward = watched  # type: ignore[method-assign]
    starts = []
    for _ in range(2 * len(made.walk)):
        starts.append(made.walk.at_start)
        made.step()
    assert starts.count(True) >= 2
    assert [not hidden.any() for hidden in given] == starts


def losses_of(made: LanguageTraining, losses: list[float]) -> list[bool]:
    """Whether weights are averaged in each of the epochs whose validation losses are these."""
    found = []
    for epoch, loss in enumerate(losses):
        made._tally.words = 1
        made._judge = lambda *_, loss=loss: _Judged(loss)  # type: ignore[method-assign,assignment,misc]
        found.append(bool(made._end_epoch(epoch)["averaging"]))
    return found


class _Judged:
    def __init__(self, loss: float) -> None:
        self.loss = loss

    def metrics(self, prefix: str) -> dict[str, float]:
        return {f"{prefix}_loss": self.loss, f"{prefix}_perplexity": math.exp(self.loss)}


def test_averaging_begins_once_the_loss_exceeds_the_least_of_all_but_the_last() -> None:
    losses = [5.0, 4.0, 4.5, 4.4, 4.3, 4.2, 4.1, 4.05, 4.0]
    # Epoch 7 (4.05) is the first whose loss exceeds one that lies further back than five epochs, 4.0: on from epoch 8.
    assert losses_of(training(), losses) == [False] * 8 + [True]
    # As long as each is better than those, never.
    assert losses_of(training(), [5.0 - epoch / 100 for epoch in range(20)]) == [False] * 20
    # With patience 1: 4.5 is compared with 5.0, and 4.4 with 4.0.
    assert losses_of(training(patience=1), losses[:5]) == [False] * 4 + [True]


def test_the_average_is_the_mean_of_the_weights_since() -> None:
    made = training(epochs=20, patience=0, learning_rate=60.0)
    while made._average is None:
        made.step()
    names = [name for name, _ in made.network.named_parameters()]
    seen = []
    for _ in range(len(made.walk) - 1):
        made.step()
        seen.append([parameter.detach().clone() for parameter in made.network.parameters()])
    for number, name in enumerate(names):
        mean = torch.stack([weights[number] for weights in seen]).mean(dim=0)
        assert torch.allclose(made._average[name], mean, atol=1e-5)
    # The average is judged, and the weights themselves go on.
    judged = {}
    own = made._judge
    made._judge = lambda values, *rest: judged.update(values) or own(values, *rest)  # type: ignore[func-returns-value,method-assign,assignment]
    made.step()
    assert judged[names[0]] is made._average[names[0]]


def test_a_diverged_loss_changes_no_weights() -> None:
    made = training()
    with torch.no_grad():
        made.network.bias.fill_(math.nan)
    before = made.network.embedding.detach().clone()
    with pytest.raises(DivergedError):
        made.step()
    assert torch.equal(made.network.embedding, before)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"test_batch_size": 0},
        {"learning_rate": 0.0},
        {"gradient_clip": 0.0},
        {"weight_decay": -1.0},
        {"temporal": -1.0},
        {"patience": -1},
        {"hidden": 0},
    ],
)
def test_ranges_of_a_recipe(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        LanguageRecipe(**options)


class TestEvaluation:
    """The recipe in the evaluation phase."""

    def make(self, dataset: Any = None, **options: Any) -> Evaluation:
        return Evaluation(recipe(**options), recurrent_cell(), recurrent_space(), dataset or MadeUpText(), CPU, 0)

    def finish(self, made: Evaluation) -> Trial:
        while True:
            step = made.step()
            if step.trials:
                made.tell(step.trials[0])
                return step.trials[0]

    def test_the_result_is_the_test_perplexity_of_the_best_epoch(self) -> None:
        made = self.make(epochs=2)
        trial = self.finish(made)
        assert made.score_name == "negative_test_perplexity"
        assert trial.score == -trial.metrics["test_perplexity"]
        best = made.best()
        assert {"test_perplexity", "test_loss", "valid_perplexity", "best_epoch", "params", "macs", "words"} <= set(
            best.metrics
        )
        assert "train_perplexity" not in best.metrics
        made.confirm(saved(made.state_dict()))

    def test_the_test_text_is_judged_once_at_the_end(self) -> None:
        dataset = MadeUpText()
        made = self.make(dataset, epochs=1)
        made.step()
        found = dataset.reads["test"]  # only that it is there
        self.finish(made)
        assert (found, dataset.reads["test"]) == (1, 2)

    @pytest.mark.parametrize(
        ("dataset", "hidden", "params"), [(PennTreebank, 850, 22_960_000), (WikiText2, 700, 33_127_878)]
    )
    def test_no_epochs_count_without_data(self, dataset: Any, hidden: int, params: int) -> None:
        cell = published.load("rnn_darts_v2")
        made = Evaluation(
            LanguageRecipe(epochs=0, hidden=hidden), cell, recurrent_space(), dataset("text", root="nowhere"), CPU, 0
        )
        assert made.done
        counts = made.best().metrics
        assert counts["params"] == params
        # Each weight is multiplied once for a word; the embedding is looked up, the decoder's bias is added.
        assert counts["macs"] == params - dataset.words

    def test_it_refuses_images(self) -> None:
        with pytest.raises(CombinationError, match="dataset=made_up: is no text"):
            Evaluation(LanguageRecipe(), recurrent_cell(), recurrent_space(), MadeUp(), CPU, 0)
        with pytest.raises(CombinationError, match="space=darts: makes no language models"):
            Evaluation(LanguageRecipe(), architecture(), space(), MadeUpText(), CPU, 0)

    def test_recipes_for_images_refuse_it(self) -> None:
        with pytest.raises(CombinationError, match="space=darts_recurrent: makes no image networks"):
            Evaluation(Recipe(), recurrent_cell(), recurrent_space(), MadeUpText(), CPU, 0)
        with pytest.raises(CombinationError, match="dataset=made_up_text: has no images"):
            Evaluation(Recipe(), architecture(), space(), MadeUpText(), CPU, 0)
