"""The search over tasks: what a step changes and what it leaves, its settings, its result, resuming."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp
from torch import nn

from nas_cli.data.base import Dataset
from nas_cli.data.episodes import Episodes
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.journal import Trial
from nas_cli.maml import Adaptation
from nas_cli.networks.nasbench201_supernet import KIND, MixedNasBench201Cell
from nas_cli.networks.supernet import by_cell
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.functions import Branin
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.meta_search import MetaSearch
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam

EPOCHS, STEPS, TESTS = 2, 2, 3
EPISODES = Episodes(ways=2, shots=2, queries=3, train_classes=2)  # of three classes, eight ways up and four


class Small(NasBench201):
    """Its cells in a smaller network: a convolution, one cell, a classifier."""

    def supernet(self, input_shape: Any, classes: int, fan_out: Any, choices: Any = None, cells: Any = None) -> Any:
        return SmallNetwork(self.choices, input_shape[0], classes, fan_out)


class SmallNetwork(nn.Module):
    def __init__(self, choices: Any, inputs: int, classes: int, fan_out: Any) -> None:
        super().__init__()
        self.choices = choices
        self.stem = nn.Sequential(nn.Conv2d(inputs, 2, 3, 2, 1, bias=False), nn.BatchNorm2d(2))
        self.cell = MixedNasBench201Cell(choices[KIND], 2, fan_out)
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, classes))

    def forward(self, x: torch.Tensor, weights: Any) -> Any:
        (rows,) = by_cell(self.choices, weights, [KIND])
        return self.head(self.cell(self.stem(x), rows))


def search(
    seed: int = 0,
    dataset: Dataset | None = None,
    episodes: Episodes = EPISODES,
    adaptation: Adaptation | None = None,
    rate: float = 0.1,
    **options: Any,
) -> MetaSearch:
    given = {"epochs": EPOCHS, "tasks": 2 * STEPS, "meta_batch": 2, "test_tasks": TESTS, **options}
    return MetaSearch(
        Small("nasbench201"),
        dataset or MadeUp(),
        CPU,
        seed,
        Softmax(),
        TopK(),
        Adam(rate),
        adaptation or Adaptation(steps=1, test_steps=2),
        episodes,
        **given,
    )


def finish(made: MetaSearch, steps: int = 1000) -> list[Any]:
    """What so many steps report, without times."""
    found: list[Any] = []
    while not made.done and steps > 0:
        step = made.step()
        steps -= 1
        found.append((step.metrics, [(t.architecture, t.score, t.metrics) for t in step.trials]))
        for trial in step.trials:
            made.tell(trial)
    return found


def meta(made: MetaSearch) -> dict[str, torch.Tensor]:
    """Copies of (w̃, θ̃)."""
    tensors = {**dict(made._begin().named_parameters()), **made._parameters}
    return {name: value.detach().clone() for name, value in tensors.items()}


def changed(made: MetaSearch, before: dict[str, torch.Tensor]) -> tuple[bool, bool]:
    """Whether w̃ and whether θ̃ have moved."""
    after = meta(made)
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    return bool(moved - {"normal"}), "normal" in moved


def test_one_line_an_epoch_then_a_trial_for_each_test_task() -> None:
    made = search()
    assert (made.total, made.position) == (EPOCHS * STEPS + TESTS, 0)
    reports = finish(made)
    lines = [metrics for metrics, _ in reports if metrics]
    assert [(line["epoch"], line["step"]) for line in lines] == [(0, 2), (1, 4), (2, 4)]
    assert list(lines[0]) == ["epoch", "step", "train_loss", "train_accuracy", "entropy_normal", "architecture"]
    trials = [trial for _, trials in reports for trial in trials]
    assert len(trials) == TESTS == made.evaluations
    accuracies = [score for _, score, _ in trials]
    assert all(score * 6 == pytest.approx(round(score * 6)) for score in accuracies)  # of six queries
    best = made.best()
    assert best.score == best.metrics["query_accuracy"] == pytest.approx(sum(accuracies) / TESTS)
    deviation = float(torch.tensor(accuracies, dtype=torch.float64).std())
    assert best.metrics["query_accuracy_ci95"] == pytest.approx(1.96 * deviation / TESTS**0.5)
    assert best.metrics["distinct_cells"] == len({architecture for architecture, _, _ in trials})
    assert best.architecture.to_json() == lines[1]["architecture"]
    assert lines[2]["query_accuracy"] == best.score


def test_a_gradient_never_leaves_what_adapted_behind() -> None:
    """(w̃, θ̃) are bit for bit what they were until Adam moves them, and a task of meta-test moves nothing."""
    made = search()
    before = meta(made)
    seen: list[tuple[bool, bool]] = []
    network = made._begin()
    made._weight_optimizer.register_step_pre_hook(lambda *_: seen.append(changed(made, before)))
    made.step()
    assert seen == [(False, False)]
    assert changed(made, before) == (True, True)
    before = meta(made)
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    trial = made._test_task(network, 0)
    assert trial.metrics["distance"] > 0
    assert changed(made, before) == (False, False)
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())


def test_the_order_of_tasks_in_a_meta_batch_does_not_matter() -> None:
    results = []
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        made = search(meta_batch=4, tasks=8)
        made._begin()
        drawn = made._train.episode
        made._train.episode = lambda number, drawn=drawn, order=order: drawn(order[number % 4])  # type: ignore[method-assign,misc]
        made.step()
        results.append({name: value.grad.clone() for name, value in made._network.named_parameters()})  # type: ignore[union-attr]
    for name, value in results[0].items():
        assert torch.allclose(value, results[1][name], atol=1e-5), name


def test_without_inner_steps_it_is_the_gradient_of_joint_training() -> None:
    """The mean of a meta-batch's."""
    made = search(adaptation=Adaptation(steps=0))
    network = made._begin()
    losses = []
    for number in range(2):
        images, labels = made._train.episode(number).query
        logits = network(images, made.mixing.weights(made._parameters))
        losses.append(nn.functional.cross_entropy(logits, labels))
    tensors = [*network.parameters(), *made._parameters.values()]
    expected = torch.autograd.grad(torch.stack(losses).mean(), tensors)
    made.step()
    for tensor, slope in zip([*network.parameters(), *made._parameters.values()], expected, strict=True):
        assert torch.allclose(tensor.grad, slope, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("architecture", "inner", "outer"),
    [("joint", 3.0, True), ("joint", 0.0, True), ("split", 0.0, True), ("fixed", 0.0, False)],
)
def test_auto_maml_and_maml_are_settings(architecture: Any, inner: float, outer: bool) -> None:
    made = search(adaptation=Adaptation(steps=1, test_steps=2, architecture_rate=inner), architecture=architecture)
    before = meta(made)
    reports = finish(made)
    assert changed(made, before) == (True, outer)
    trials = [trial for _, trials in reports for trial in trials]
    distances = [metrics["distance"] for _, _, metrics in trials]
    if inner:
        assert min(distances) > 0
    else:  # every task has the meta-architecture
        assert distances == [0.0] * TESTS
        assert {architecture for architecture, _, _ in trials} == {made.best().architecture}


def test_split_learns_the_architecture_on_other_classes() -> None:
    made = search(architecture="split")
    made._begin()
    (first, with_first), (second, with_second) = made._rounds
    assert (with_first, with_second) == ([made._weight_optimizer], [made._architecture_optimizer])
    assert first.classes == second.classes == 4
    shown = [
        torch.stack([part.episode(number).support[0].mean(0) for number in range(20)]).mean(0)
        for part in (first, second)
    ]
    assert not torch.allclose(shown[0], shown[1], atol=0.1)


@pytest.mark.parametrize(
    ("options", "second"),
    [({}, False), ({}, True), ({"architecture": "split"}, False), ({"normalisation": "running"}, False)],
)
def test_resumed_at_several_steps_it_is_the_same_bit_for_bit(options: dict[str, Any], second: bool) -> None:
    adaptation = Adaptation(steps=1, test_steps=2, second_order=second, alternating=second)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    whole = search(adaptation=adaptation, **options)
    reports = finish(whole)
    assert torch.equal(torch.get_rng_state(), before)
    for at in (1, 5):
        first = search(adaptation=adaptation, **options)
        head = finish(first, at)
        resumed = search(adaptation=adaptation, **options)
        resumed.load_state_dict(saved(first.state_dict()))
        assert resumed.position == at
        assert head + finish(resumed) == reports
        assert resumed.best() == whole.best()


def test_the_seed_counts() -> None:
    assert finish(search(), 1) == finish(search(), 1)
    assert meta(search()).keys() == meta(search(seed=1)).keys()
    assert finish(search(), EPOCHS * STEPS) != finish(search(seed=1), EPOCHS * STEPS)


def test_running_statistics_are_learnt_only_where_queries_read_them() -> None:
    moved = []
    for normalisation in ("transductive", "running"):
        made = search(normalisation=normalisation)
        before = {name: value.clone() for name, value in made._begin().named_buffers() if "running" in name}
        made.step()
        after = dict(made._begin().named_buffers())
        moved.append(any(not torch.equal(value, after[name]) for name, value in before.items()))
    assert moved == [False, True]


def test_an_untrained_supernet_is_at_chance() -> None:
    made = search(test_tasks=30, adaptation=Adaptation(test_steps=1, weight_rate=0.0, architecture_rate=0.0))
    network = made._begin()
    scores = torch.tensor([made._test_task(network, number).score or 0.0 for number in range(30)])
    assert abs(float(scores.mean()) - 0.5) < 3 * float(scores.std()) / 30**0.5 + 0.02


def test_decoding_does_not_mind_a_constant_and_never_gives_none_where_one_is_chosen() -> None:
    made = search()
    made._begin()
    with torch.no_grad():
        made._parameters["normal"].copy_(torch.randn(6, 5, generator=torch.Generator().manual_seed(3)))
        shifted = {"normal": made._parameters["normal"] + torch.arange(6.0)[:, None]}
    assert made._decode(made._parameters) == made._decode(shifted)


def test_nothing_is_read_before_the_first_step() -> None:
    dataset = MadeUp()
    made = search(dataset=dataset)
    assert dataset.reads == {"train": 0, "test": 0}
    made.step()
    assert dataset.reads == {"train": 1, "test": 1}


def test_a_bad_loss_stops_and_leaves_everything() -> None:
    made = search()
    made.step()
    state = copy.deepcopy(made.state_dict())
    bad = search(dataset=MadeUp(scale=0.0))
    bad.load_state_dict(state)
    with pytest.raises(DivergedError, match="a loss of the inner loop is nan"):
        bad.step()
    assert all(torch.equal(value, state["network"][name]) for name, value in bad._begin().state_dict().items())


def test_what_a_killed_run_journalled_is_done_again() -> None:
    made = search()
    trial = Trial(index=0, architecture=made.space.sample(numpy_generator(0)), score=0.5)
    assert not made.replay(trial)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"tasks": 5}, "tasks must be a positive multiple of meta_batch=2, not 5"),
        ({"test_tasks": 0}, "test_tasks must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
    ],
)
def test_ranges(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        search(**options)


def test_a_space_without_a_supernet_is_refused() -> None:
    parts = (Softmax(), TopK(), Adam(), Adaptation(), EPISODES)
    with pytest.raises(CombinationError, match="space=branin has no supernet"):
        MetaSearch(Branin("branin"), MadeUp(), CPU, 0, *parts)
