"""The supernet loop: what an epoch reports, what it derives, what stops it, and its stages."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from made_up import CPU, MadeUp, space
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.estimators.shared_weights import Batch, EdgeWeights, SharedWeights
from nas_cli.estimators.table import Table
from nas_cli.journal import Trial
from nas_cli.networks.genotype import Genotype
from nas_cli.strategies.gradient import search as search_module
from nas_cli.strategies.gradient.architecture_gradient import ArchitectureGradient, FirstOrder, SingleLevel, alternate
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Parameters, Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.regularisers import Regulariser, SkipDropout
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.search import GradientSearch, entropy
from nas_cli.strategies.gradient.stages import Progressive, Single
from nas_cli.strategies.gradient.stopping import Epochs, History, SkipConnects, Stop, Stopping

EPOCHS, STEPS = 2, 3  # 20 of 40 images in batches of 8


def search(dataset: MadeUp | None = None, seed: int = 0, **options: Any) -> GradientSearch:
    shared = SharedImageWeights(space(), dataset or MadeUp(), CPU, seed, batch_size=8)
    given = {
        "mixing": Softmax(),
        "architecture_gradient": FirstOrder(),
        "optimizer": Adam(0.1),
        "derivation": TopK(),
        "stages": Single(),
        "stopping": Epochs(),
        "epochs": EPOCHS,
    }
    return GradientSearch(shared, seed, **{**given, **options})


def finish(made: GradientSearch, steps: int = 1000) -> tuple[list[dict[str, Any]], list[Trial]]:
    metrics, trials = [], []
    while not made.done and steps > 0:
        step = made.step()
        steps -= 1
        metrics += [dict(step.metrics)] if step.metrics is not None else []
        for trial in step.trials:
            trials.append(trial)
            made.tell(trial)
    return metrics, trials


def relaxation(made: GradientSearch) -> Relaxation:
    assert made._relaxation is not None
    return made._relaxation


def alphas(made: GradientSearch) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in relaxation(made).parameters.items()}


def same(first: Any, second: Any) -> bool:
    """Whether two states are the same, bit for bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def state(made: GradientSearch) -> dict[str, Any]:
    """What a search has reached, seconds left out."""
    found = made.state_dict()
    trial = found["trial"] and {key: found["trial"][key] for key in ("architecture", "score", "metrics", "budget")}
    return {**found, "spent": 0.0, "trial": trial}


def saved(found: dict[str, Any]) -> dict[str, Any]:
    """A state after a trip through a checkpoint."""
    buffer = io.BytesIO()
    torch.save(found, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


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
    assert [list(line) for line in metrics] == [[*names, "epochs", "operations"], names]
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


def first_weight(shared: SharedWeights) -> float:
    return float(next(shared.network.parameters()).detach().sum())


def watched_steps(made: GradientSearch) -> list[dict[str, Tensor]]:
    """A list that grows by the edge weights of every later step of the supernet's weights."""
    seen: list[dict[str, Tensor]] = []
    original = made.shared.weight_step

    def weight_step(batch: Any, weights: EdgeWeights) -> Any:
        seen.append({kind: rows.detach().clone() for kind, rows in weights.items()})
        return original(batch, weights)

    made.shared.weight_step = weight_step  # type: ignore[method-assign,assignment]
    return seen


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


def watch(inner: Relaxation, slopes: list[Tensor]) -> None:
    """Note the gradient that every later step of the parameters' optimiser sees."""
    original = inner.optimizer.step

    def step() -> None:
        slopes.append(
            torch.cat([value.grad.flatten() for value in inner.parameters.values() if value.grad is not None])
        )
        original()

    inner.optimizer.step = step  # type: ignore[method-assign,assignment]


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
    with pytest.raises(CombinationError, match="only estimator=shared_weights has, not Table"):
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


# ---- epochs in which weights alone are trained


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


# ---- penalties, and one level


class Price(Regulariser):
    """Half the squared distance of the edge weights from 1, many times over."""

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        return 100 * torch.stack([(rows - 1).square().sum() / 2 for rows in weights.values()]).sum()


class Bad(Regulariser):
    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        return next(iter(weights.values())).sum() * math.nan


def test_penalties_are_added_to_the_architecture_s_gradient_alone() -> None:
    found = {}
    for price in (False, True):
        made = search(regularisers={"price": Price(), "nothing": Regulariser()} if price else {})
        made._begin()
        inner = relaxation(made)
        weights = inner.weights()
        slopes = {kind: torch.ones_like(rows) for kind, rows in weights.items()}
        found[price] = inner.gradient(weights, slopes)
        if price:
            penalty = Price().penalty(inner, inner.weights())
            wanted = torch.autograd.grad(penalty, list(inner.parameters.values()))
            for with_price, without, part in zip(found[True], found[False], wanted, strict=True):
                torch.testing.assert_close(with_price, without + part)
        made.step()  # and a whole step takes it


def test_a_penalty_that_is_not_finite_is_told() -> None:
    for gradient in (FirstOrder(), SingleLevel()):
        with pytest.raises(DivergedError, match="the penalty of the architecture is nan"):
            search(architecture_gradient=gradient, regularisers={"bad": Bad()}).step()


def test_penalties_of_many_steps_decide_the_cell_in_bilevel_and_single_level() -> None:
    class Skip(Regulariser):
        def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
            return -1000 * torch.stack([rows[:, 2].sum() for rows in weights.values()]).sum()

    for gradient in (FirstOrder(), SingleLevel()):
        metrics, _ = finish(search(architecture_gradient=gradient, regularisers={"skip": Skip()}, optimizer=Adam(0.3)))
        assert (metrics[-1]["skips_normal"], metrics[-1]["skips_reduce"]) == (4, 4)


def test_a_single_level_step_is_one_backward_pass_of_loss_and_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    made = search(architecture_gradient=SingleLevel(), regularisers={"price": Price()})
    made._begin()
    inner = relaxation(made)
    twin = search(architecture_gradient=SingleLevel(), regularisers={"price": Price()})
    twin._begin()
    batch = twin.shared.train_batch()
    twin.shared.network.train()
    weights = relaxation(twin).weights()
    total = twin.shared.loss(batch, weights) + Price().penalty(relaxation(twin), weights)
    alpha = list(relaxation(twin).parameters.values())
    network = list(twin.shared.network.parameters())
    wanted = torch.autograd.grad(total, [*alpha, *network])

    backwards: list[int] = []
    original = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a, **k: backwards.append(1) or original(*a, **k))
    monkeypatch.setattr(torch.autograd, "grad", None)
    slopes: list[Tensor] = []
    move = inner.move

    def seen(gradient: Any = None) -> None:
        assert gradient is None
        slopes.extend(value.grad.clone() for value in inner.parameters.values() if value.grad is not None)
        move()

    inner.move = seen  # type: ignore[method-assign,assignment]
    before = alphas(made)
    made.step()
    assert len(backwards) == 1
    for slope, expected in zip(slopes, wanted, strict=False):
        torch.testing.assert_close(slope, expected)
    assert len(slopes) == len(alpha)
    assert not any(torch.equal(value, before[name]) for name, value in alphas(made).items())
    # The penalty has no say in the weights: the clipped gradient is that of the loss.
    norm = torch.stack([slope.norm() for slope in wanted[len(alpha) :]]).norm()
    factor = min(1.0, 5.0 / norm.item())
    for parameter, expected in zip(made.shared.network.parameters(), wanted[len(alpha) :], strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, factor * expected, rtol=1e-4, atol=1e-6)


def test_single_level_draws_no_held_out_batch() -> None:
    made = search(architecture_gradient=SingleLevel())
    made._begin()
    made.shared.held_out_batch = None  # type: ignore[method-assign,assignment]
    metrics, _ = finish(made)
    assert len(metrics) == EPOCHS


# ---- stages


def staged(seed: int = 0, **options: Any) -> GradientSearch:
    """Three stages of two epochs, four, three and two of four operations, and noise."""
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))
    parts = {"stages": Progressive((3, 3, 4), (1.0, 0.75, 0.5)), "regularisers": {"skip": SkipDropout((0.0, 0.4), 1)}}
    return search(dataset, seed, **{**parts, "warm_up": 1, **options})


def test_every_stage_begins_anew_on_what_the_last_left_open() -> None:
    made = staged()
    assert made.total == 3 * EPOCHS * STEPS
    starts, cells = [], []
    for stage in range(3):
        made._begin()
        starts.append(alphas(made))
        cells.append(len(made.shared.network.cells))  # type: ignore[arg-type]
        assert made.shared.optimizer.param_groups[0]["lr"] == 0.05
        assert not made.shared.optimizer.state
        for _ in range(EPOCHS * STEPS):
            made.step() if not made._result else None
        assert made._stage == min(stage + 1, 2)
    assert cells == [3, 3, 4]
    assert [start["normal"].shape for start in starts] == [(5, 4), (5, 3), (5, 2)]
    assert all(start["normal"].abs().max() < 0.01 for start in starts)


def test_the_lines_of_stages_and_their_sets() -> None:
    metrics, (trial,) = finish(staged())
    assert [(line["stage"], line["epoch"], line["step"]) for line in metrics] == [
        *((0, 0, 3), (0, 1, 6), (1, 0, 9), (1, 1, 12), (2, 0, 15), (2, 1, 18)),
    ]
    first = [line for line in metrics if "operations" in line]
    assert [line["epoch"] for line in first] == [0, 0, 0]
    for kind in ("normal", "reduce"):
        lists = [line["operations"][kind] for line in first]
        assert [{len(row) for row in rows} for rows in lists] == [{4}, {3}, {2}]
        for wide, narrow, line in zip(lists, lists[1:], (metrics[1], metrics[3]), strict=False):
            for names, fewer, probabilities in zip(wide, narrow, line["probabilities"][kind], strict=True):
                strongest = sorted(zip(probabilities, names, strict=True), reverse=True)[: len(fewer)]
                assert fewer == [name for name in names if name in {name for _, name in strongest}]
    assert trial.architecture.to_json() == metrics[-1]["architecture"]
    assert trial.budget == 3 * EPOCHS
    assert [line["learning_rate"] for line in metrics] == pytest.approx([0.05, 0.0255] * 3)


def resumed(make: Callable[[], GradientSearch], at: Sequence[int]) -> None:
    """A search is saved after each of so many steps and goes on from there in another object."""
    states = []
    first, steps = make(), 0
    whole: list[dict[str, Any]] = []
    for stop in at:
        whole += finish(first, stop - steps)[0]
        steps = stop
        states.append((saved(first.state_dict()), len(whole)))
    whole += finish(first)[0]
    for stop, (found, lines) in zip(at, states, strict=True):
        second = make()
        second.load_state_dict(found)
        assert second.position == stop
        assert finish(second)[0] == whole[lines:]
        assert same(state(second), state(first))


def test_resumed_in_any_stage_it_is_the_same_bit_for_bit() -> None:
    resumed(staged, [1, 6, 11, 12])


def test_a_rule_can_end_each_stage_early() -> None:
    class After(Stopping):
        """One epoch in each stage."""

        def __call__(self, history: History) -> Stop | None:
            return Stop(0)

    metrics, (trial,) = finish(staged(stopping=After(), warm_up=0))
    assert [(line["stage"], line["epoch"]) for line in metrics] == [(0, 0), (1, 0), (2, 0)]
    assert trial.budget == 3


# ---- rules that end a search


class At(Stopping):
    """Ends after one epoch with the cell of another."""

    def __init__(self, last: int, epoch: int) -> None:
        self.last, self.epoch = last, epoch

    def __call__(self, history: History) -> Stop | None:
        return Stop(self.epoch) if len(history) == self.last + 1 else None


@pytest.mark.parametrize(("last", "epoch"), [(2, 2), (2, 0), (3, 1)])
def test_a_rule_ends_the_search_with_an_epoch_s_cell(last: int, epoch: int) -> None:
    plain, _ = finish(search(epochs=5))
    metrics, (trial,) = finish(search(epochs=5, stopping=At(last, epoch)))
    assert metrics == plain[: last + 1]  # until then it is the same search
    assert trial.architecture.to_json() == plain[epoch]["architecture"]
    assert trial.score == plain[epoch]["valid_accuracy"]
    assert trial.metrics["epochs"] == epoch + 1
    assert trial.budget == last + 1


def test_a_search_that_ended_early_is_resumed_as_done_or_not_yet() -> None:
    resumed(lambda: search(epochs=5, stopping=At(2, 1)), [4, 9])


def test_two_skips_end_a_search() -> None:
    class Skip(Regulariser):
        def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
            return -1000 * torch.stack([rows[:, 2].sum() for rows in weights.values()]).sum()

    metrics, (trial,) = finish(search(epochs=5, regularisers={"skip": Skip()}, stopping=SkipConnects(2, 1)))
    assert len(metrics) == 2
    assert trial.metrics["skips_normal"] >= 2


class Back(Stopping):
    """Twice goes back to the end of an epoch with ten times the weight decay."""

    def __init__(self, after: int = 2, epoch: int = 1) -> None:
        self.after, self.epoch = after, epoch

    def may_return_to(self, history: History) -> list[int]:
        return [self.epoch]

    def __call__(self, history: History) -> Stop | None:
        decay = history[-1]["weight_decay"]
        if len(history) == self.after + 1 and decay < 0.01:
            return Stop(self.epoch, 10 * decay)
        return None


def going_back() -> GradientSearch:
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))
    return search(dataset, epochs=4, stopping=Back())


def without_decay(found: dict[str, Any]) -> dict[str, Any]:
    """A state of the relaxation, but for the weight decay of the weights."""
    found = copy.deepcopy(found)
    for group in found["shared"]["optimizer"]["param_groups"]:
        del group["weight_decay"]
    return found


class TestGoingBack:
    def test_all_is_as_at_the_end_of_that_epoch_but_for_the_weight_decay(self) -> None:
        made = going_back()
        finish(made, 2 * STEPS)
        reached = copy.deepcopy(relaxation(made).state_dict())
        assert made.shared.optimizer.param_groups[0]["weight_decay"] == 3e-4
        finish(made, STEPS - 1)
        assert not same(relaxation(made).state_dict(), reached)
        for decay in (3e-3, 3e-2):
            finish(made, 1 if decay == 3e-3 else STEPS)
            again = relaxation(made).state_dict()
            assert made.shared.optimizer.param_groups[0]["weight_decay"] == pytest.approx(decay)
            # Weights, α, both optimisers, buffers of normalisation, and how many batches were drawn.
            assert same(without_decay(again), without_decay(reached))
            assert (again["shared"]["train"], again["shared"]["held_out"]) == (
                reached["shared"]["train"],
                reached["shared"]["held_out"],
            )

    def test_its_lines(self) -> None:
        made = going_back()
        metrics, (trial,) = finish(made)
        assert [line["epoch"] for line in metrics] == [0, 1, 2, 2, 2, 3]
        assert [line["step"] for line in metrics] == [3, 6, 9, 12, 15, 18]
        assert [line["weight_decay"] for line in metrics] == pytest.approx([3e-4, 3e-4, 3e-4, 3e-3, 3e-2, 3e-2])
        rates = [line["learning_rate"] for line in metrics]
        assert rates[2] == rates[3] == rates[4]  # the same place on the cosine
        assert trial.metrics["epochs"] == 4
        assert trial.budget == 6

    def test_resumed_before_and_after_it_is_the_same_bit_for_bit(self) -> None:
        resumed(going_back, [8, 9, 10, 15])

    def test_a_kept_state_does_not_change_while_the_search_goes_on(self) -> None:
        made = going_back()
        finish(made, 2 * STEPS)
        kept = copy.deepcopy(made._kept)
        finish(made, STEPS + 1)  # back, and a step on
        assert set(kept) == {1}
        assert same(made._kept, kept)
