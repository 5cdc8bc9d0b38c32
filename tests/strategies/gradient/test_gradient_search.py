"""The supernet loop: what an epoch reports, what it derives, and how a step moves both."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from made_up import MadeUp
from searches import (
    EPOCHS,
    STEPS,
    alphas,
    finish,
    first_weight,
    relaxation,
    same,
    search,
    watch,
    watched_steps,
)
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_weights import Batch, EdgeWeights, SharedWeights
from nas_cli.estimators.table import Table
from nas_cli.networks.genotype import Genotype
from nas_cli.strategies.gradient import search as search_module
from nas_cli.strategies.gradient.architecture_gradient import ArchitectureGradient, FirstOrder, SingleLevel, alternate
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Parameters, Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.search import GradientSearch, entropy
from nas_cli.strategies.gradient.stages import Single
from nas_cli.strategies.gradient.stopping import Epochs


def test_one_line_an_epoch_with_the_figures_that_matter() -> None:
    made = search()
    assert (made.total, made.position, made.evaluations) == (EPOCHS * STEPS, 0, 0)
    metrics, trials = finish(made)
    assert [(line["epoch"], line["step"]) for line in metrics] == [(0, 3), (1, 6)]
    names = [
        *("epoch", "step", "learning_rate", "weight_decay", "train_loss", "train_accuracy", "valid_loss"),
        *("valid_accuracy", "entropy_normal", "skips_normal", "entropy_reduce", "skips_reduce", "architecture"),
        "probabilities",
    ]
    assert [list(line) for line in metrics] == [[*names, "epochs", "frozen", "operations"], names]
    assert [line["learning_rate"] for line in metrics] == pytest.approx([0.05, 0.001 + 0.049 / 2])
    assert [line["weight_decay"] for line in metrics] == [3e-4] * 2
    assert metrics[0]["epochs"] == EPOCHS
    assert metrics[0]["operations"] == dict.fromkeys(
        ("normal", "reduce"), [["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"]] * 5
    )
    for line in metrics:
        for name in ("train_accuracy", "valid_accuracy"):
            assert line[name] * 20 == pytest.approx(round(line[name] * 20))
        for rows in line["probabilities"].values():
            assert [sum(row) for row in rows] == pytest.approx([1] * 5, abs=1e-5)
    assert (made.position, made.evaluations) == (6, 1)
    (trial,) = trials
    assert trial.score == metrics[-1]["valid_accuracy"]
    assert trial.architecture.to_json() == metrics[-1]["architecture"]
    assert trial.budget == EPOCHS
    assert trial.metrics["epochs"] == EPOCHS


def test_entropy_and_skips_against_a_hand_computation() -> None:
    made = search()
    metrics, _ = finish(made)
    last = metrics[-1]
    genotype = Genotype.from_architecture(Architecture.from_json(last["architecture"]))
    for kind, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        rows = relaxation(made).parameters[kind].tolist()
        assert len(rows) == 5
        total = 0.0
        strongest = []
        for row, told in zip(rows, last["probabilities"][kind], strict=True):
            weights = [math.exp(value) for value in row]
            shares = [weight / sum(weights) for weight in weights]
            assert told == pytest.approx(shares, abs=2e-6)
            total -= sum(share * math.log(share) for share in shares)
            best = max(range(1, 4), key=lambda column: shares[column])  # column 0 is `none`
            strongest.append((shares[best], ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")[best]))
        assert last[f"entropy_{kind}"] == pytest.approx(total / 5, rel=1e-5)
        # Node 2 has edges 0, 1 and keeps both; node 3 has edges 2, 3, 4 from nodes 0, 1, 2 and keeps two.
        kept = strongest[:2] + sorted(strongest[2:], reverse=True)[:2]
        assert last[f"skips_{kind}"] == sum(name == "skip_connect" for _, name in kept)
        assert sorted(name for node in cell.nodes for name, _ in node) == sorted(name for _, name in kept)


def test_entropy_of_known_rows() -> None:
    assert entropy(torch.full((14, 8), 1 / 8)) == pytest.approx(2.0794, abs=5e-5)
    assert entropy(torch.eye(4)) == 0.0
    assert entropy(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])) == pytest.approx(math.log(2) / 2)


def test_the_initial_entropy_is_nearly_that_of_no_decision() -> None:
    metrics, _ = finish(search(epochs=1, optimizer=Adam(1e-9)))
    assert metrics[0]["entropy_normal"] == pytest.approx(math.log(4), abs=1e-4)


class Plain(Softmax):
    """The parameters are the edge weights."""

    def weights(self, parameters: Parameters) -> dict[str, Tensor]:
        return dict(parameters)


class Recorded(ArchitectureGradient):
    """Gives the same slope each time, and notes in which order things happen."""

    def __init__(self, slope: float = 1.0, weights_first: bool = False) -> None:
        self.slope = slope
        self.weights_first = weights_first
        self.calls: list[tuple[float, int, int]] = []

    def step(self, relaxation: Relaxation) -> Any:
        return alternate(relaxation, self.slopes, self.weights_first)

    def slopes(self, shared: SharedWeights, weights: EdgeWeights, train: Batch, held_out: Batch) -> dict[str, Tensor]:
        self.calls.append((first_weight(shared), len(train[1]), len(held_out[1])))
        return {kind: torch.full_like(rows, self.slope) for kind, rows in weights.items()}


def test_the_architecture_moves_first_by_adam_and_then_the_weights() -> None:
    gradient = Recorded()
    made = search(mixing=Plain(), architecture_gradient=gradient, optimizer=Adam(0.1, (0.5, 0.999), 0.0))
    made.step()
    before, weight, seen = alphas(made), first_weight(made.shared), watched_steps(made)
    made.step()
    assert gradient.calls[1] == (weight, 8, 8)  # the gradient sees the weights before they move
    for name, old in before.items():
        # A constant slope of 1: both of Adam's corrected moments are 1, so every entry moves by the rate.
        assert torch.allclose(alphas(made)[name], old - 0.1, atol=1e-6)
        assert torch.equal(seen[0][name], alphas(made)[name])  # at the new α


def test_weights_first() -> None:
    gradient = Recorded(weights_first=True)
    made = search(mixing=Plain(), architecture_gradient=gradient)
    made.step()
    before, weight, seen = alphas(made), first_weight(made.shared), watched_steps(made)
    made.step()
    assert gradient.calls[1][0] == first_weight(made.shared) != weight  # the gradient sees the weights moved
    assert len(seen) == 1
    assert all(torch.equal(rows, before[kind]) for kind, rows in seen[0].items())  # at the old α


def test_first_order_has_either_order() -> None:
    ends = [finish(search(architecture_gradient=FirstOrder(first), epochs=1))[0][0] for first in (False, True)]
    assert ends[0]["train_loss"] != ends[1]["train_loss"]


def test_the_paper_s_weight_decay_pulls_on_the_parameters() -> None:
    found = []
    for weight_decay in (1e-3, 0.0):
        made = search(architecture_gradient=Recorded(slope=0.0), optimizer=Adam(0.1, weight_decay=weight_decay))
        made.step()
        found.append(alphas(made)["normal"])
    assert not torch.equal(*found)


def test_the_parameters_gradient_is_clipped_to_a_norm() -> None:
    slopes: list[Tensor] = []
    for clip in (None, 0.5):
        made = search(mixing=Plain(), architecture_gradient=Recorded(slope=3.0), gradient_clip=clip)
        made._begin()
        watch(relaxation(made), slopes)
        made.step()
    assert torch.equal(slopes[0], torch.full((40,), 3.0))
    assert slopes[1].norm().item() == pytest.approx(0.5, rel=1e-5)
    assert torch.allclose(slopes[1], torch.full((40,), 0.5 / 40**0.5))


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_best_is_the_last_epoch_s_cell(epochs: int) -> None:
    made = search(epochs=epochs)
    with pytest.raises(RuntimeError):
        made.best()
    metrics, (trial,) = finish(made)
    best = made.best()
    assert best.architecture == trial.architecture
    assert best.score == metrics[-1]["valid_accuracy"]
    assert "valid_loss" in best.metrics
    assert "skips_normal" in best.metrics
    assert "learning_rate" not in best.metrics
    assert "weight_decay" not in best.metrics
    assert made.score_name == "valid_accuracy"


@pytest.mark.parametrize(
    ("gradient", "told"),
    [(FirstOrder(), "a loss of the architecture step is nan"), (SingleLevel(), "the training loss of the supernet is")],
)
def test_a_bad_loss_stops_and_leaves_the_parameters(gradient: ArchitectureGradient, told: str) -> None:
    made = search(architecture_gradient=gradient)
    made.step()
    before = copy.deepcopy(made.state_dict())
    bad = search(MadeUp(scale=0.0), architecture_gradient=gradient)
    bad.load_state_dict(before)
    with pytest.raises(DivergedError, match=told):
        bad.step()
    after = bad.state_dict()
    reached, kept = after["reached"]["relaxation"], before["reached"]["relaxation"]
    assert same(reached["values"], kept["values"])
    assert same(reached["optimizer"], kept["optimizer"])
    for name, value in bad.shared.network.named_parameters():
        assert torch.equal(value, kept["shared"]["network"][name])
    assert (after["steps"], after["tally"]) == (before["steps"], before["tally"])


def test_global_generators_are_left_alone_and_seeds_count() -> None:
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))
    torch.manual_seed(6)
    before = torch.get_rng_state()
    first, second, third = (finish(search(dataset, seed))[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == second
    assert first != third


def test_nothing_is_read_before_the_first_step() -> None:
    dataset = MadeUp()
    made = search(dataset)
    assert dataset.reads == {"train": 0, "test": 0}
    made.step()
    assert dataset.reads == {"train": 1, "test": 0}


@pytest.mark.parametrize(
    ("option", "bad", "told"),
    [
        ("epochs", 0, "epochs must be at least 1, not 0"),
        ("warm_up", -1, "warm_up must be at least 0 and below epochs=2, not -1"),
        ("warm_up", 2.0, "warm_up must be at least 0 and below epochs=2, not 2.0"),
        ("gradient_clip", 0.0, "gradient_clip must be above 0, not 0.0"),
    ],
)
def test_ranges(option: str, bad: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        search(**{option: bad})


def test_an_estimator_without_shared_weights_is_refused() -> None:
    from nas_cli.data.pickled import Cifar10
    from nas_cli.spaces.nasbench201 import NasBench201

    table = Table(NasBench201("nasbench201"), Cifar10("cifar10"))
    with pytest.raises(CombinationError, match="estimator Table has none"):
        GradientSearch(table, 0, Softmax(), FirstOrder(), Adam(), TopK(), Single(), Epochs())


class Clock:
    """Two seconds pass from one look to the next."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        self.now += 2.0
        return self.now


def test_seconds_are_those_of_all_sittings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "time", Clock(1000.0))
    first = search()
    first.step()
    reached = copy.deepcopy(first.state_dict())
    monkeypatch.setattr(search_module, "time", Clock(9000.0))
    second = search()
    second.load_state_dict(reached)
    _, (trial,) = finish(second)
    assert trial.cost_seconds == 2.0 * EPOCHS * STEPS
    assert trial.started == trial.finished - trial.cost_seconds
    assert trial.finished == 9000.0 + 2 * 2.0 * (EPOCHS * STEPS - 1)


@pytest.mark.parametrize(("warm_up", "steps"), [(1.0, 3), (0.5, 2), (1.4, 5)])
def test_a_warm_up_leaves_the_parameters_bit_for_bit(warm_up: float, steps: int) -> None:
    """A fraction of an epoch ends at the first step that is not within it."""
    made = search(warm_up=warm_up)
    made._begin()
    start, drawn = alphas(made), []
    original = made.shared.held_out_batch
    made.shared.held_out_batch = lambda: drawn.append(1) or original()  # type: ignore[func-returns-value,method-assign]
    for _ in range(steps):
        weight = first_weight(made.shared)
        made.step()
        assert same(alphas(made), start)
        assert first_weight(made.shared) != weight
    assert not drawn
    assert not relaxation(made).optimizer.state
    made.step()
    assert not any(torch.equal(value, start[name]) for name, value in alphas(made).items())
    assert len(drawn) == 1
