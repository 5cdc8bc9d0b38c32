"""The supernet loop: what an epoch reports, what it derives, and what stops it."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from made_up import CPU, MadeUp, space

from nas_cli.architecture import Architecture
from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.estimators.table import Table
from nas_cli.journal import Trial
from nas_cli.networks.genotype import Genotype
from nas_cli.strategies.gradient import search as search_module
from nas_cli.strategies.gradient.architecture_gradient import ArchitectureGradient, FirstOrder
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.search import GradientSearch, entropy

EPOCHS, STEPS = 2, 3  # 20 of 40 images in batches of 8


def search(
    dataset: MadeUp | None = None, seed: int = 0, gradient: ArchitectureGradient | None = None, **options: Any
) -> GradientSearch:
    shared = SharedWeights(space(), dataset or MadeUp(), CPU, seed, batch_size=8)
    given = {"epochs": EPOCHS, "learning_rate": 0.1, **options}
    return GradientSearch(shared, seed, Softmax(), gradient or FirstOrder(), TopK(), **given)


def finish(made: GradientSearch) -> tuple[list[dict[str, Any]], list[Trial]]:
    metrics, trials = [], []
    while not made.done:
        step = made.step()
        metrics += [dict(step.metrics)] if step.metrics is not None else []
        for trial in step.trials:
            trials.append(trial)
            made.tell(trial)
    return metrics, trials


def test_one_line_an_epoch_with_the_figures_that_matter() -> None:
    made = search()
    assert (made.total, made.position, made.evaluations) == (EPOCHS * STEPS, 0, 0)
    metrics, trials = finish(made)
    assert [(line["epoch"], line["step"]) for line in metrics] == [(0, 3), (1, 6)]
    assert list(metrics[0]) == [
        *("epoch", "step", "learning_rate", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"),
        *("entropy_normal", "skips_normal", "entropy_reduce", "skips_reduce", "architecture"),
    ]
    assert [line["learning_rate"] for line in metrics] == pytest.approx([0.05, 0.001 + 0.049 / 2])
    for line in metrics:
        for name in ("train_accuracy", "valid_accuracy"):
            assert line[name] * 20 == pytest.approx(round(line[name] * 20))
    assert (made.position, made.evaluations) == (6, 1)
    (trial,) = trials
    assert trial.score == metrics[-1]["valid_accuracy"]
    assert trial.architecture.to_json() == metrics[-1]["architecture"]
    assert trial.budget == EPOCHS


def test_entropy_and_skips_against_a_hand_computation() -> None:
    made = search()
    metrics, _ = finish(made)
    last = metrics[-1]
    genotype = Genotype.from_architecture(Architecture.from_json(last["architecture"]))
    for kind, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        rows = made._parameters[kind].tolist()
        assert len(rows) == 5
        total = 0.0
        strongest = []
        for row in rows:
            weights = [math.exp(value) for value in row]
            shares = [weight / sum(weights) for weight in weights]
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
    metrics, _ = finish(search(epochs=1, learning_rate=1e-9))
    assert metrics[0]["entropy_normal"] == pytest.approx(math.log(4), abs=1e-4)


class Recorded(ArchitectureGradient):
    """Gives the same slope each time, and notes in which order things happen."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, int, int]] = []

    def __call__(self, shared: Any, mixing: Any, parameters: Any, train: Any, held_out: Any) -> list[torch.Tensor]:
        first = next(shared.network.parameters())
        self.calls.append((float(first.detach().sum()), len(train[1]), len(held_out[1])))
        return [torch.ones_like(value) for value in parameters.values()]


def test_the_architecture_moves_first_by_adam_and_then_the_weights() -> None:
    gradient = Recorded()
    made = search(gradient=gradient, learning_rate=0.1, betas=(0.5, 0.999), weight_decay=0.0)
    made.step()
    before = {name: value.detach().clone() for name, value in made._parameters.items()}
    weight = float(next(made.shared.network.parameters()).detach().sum())
    seen: list[dict[str, torch.Tensor]] = []
    original = made.shared.weight_step

    def weight_step(batch: Any, weights: dict[str, torch.Tensor]) -> Any:
        seen.append({kind: rows.detach().clone() for kind, rows in weights.items()})
        return original(batch, weights)

    made.shared.weight_step = weight_step  # type: ignore[method-assign,assignment]
    made.step()
    assert gradient.calls[1] == (weight, 8, 8)  # the gradient sees the weights before they move
    for name, old in before.items():
        # A constant slope of 1: both of Adam's corrected moments are 1, so every entry moves by the rate.
        assert torch.allclose(made._parameters[name], old - 0.1, atol=1e-6)
        assert torch.equal(seen[0][name], made._parameters[name].detach().softmax(dim=-1))  # at the new α


def test_the_paper_s_weight_decay_pulls_on_the_parameters() -> None:
    class Still(Recorded):
        def __call__(self, *arguments: Any) -> list[torch.Tensor]:
            return [0 * slope for slope in super().__call__(*arguments)]

    made = search(gradient=Still(), weight_decay=1e-3)
    made.step()
    start = made.state_dict()["parameters"]["normal"].clone()
    fresh = search(gradient=Still(), weight_decay=0.0)
    fresh.step()
    assert not torch.equal(start, fresh.state_dict()["parameters"]["normal"])


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
    assert made.score_name == "valid_accuracy"


def test_a_bad_loss_stops_and_leaves_the_parameters() -> None:
    made = search()
    made.step()
    before = copy.deepcopy(made.state_dict())
    bad = search(MadeUp(scale=0.0))
    bad.load_state_dict(before)
    with pytest.raises(DivergedError, match="the validation loss of the architecture step is nan"):
        bad.step()
    after = bad.state_dict()
    for name, value in before["parameters"].items():
        assert torch.equal(after["parameters"][name], value)
    for name, value in bad.shared.network.named_parameters():
        assert torch.equal(value, before["shared"]["network"][name])
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
        ("learning_rate", 0.0, "learning_rate must be above 0, not 0.0"),
        ("weight_decay", -1.0, "weight_decay must be at least 0, not -1.0"),
        ("betas", (0.5, 1.0), "betas must be in .0, 1., not .0.5, 1.0."),
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
        GradientSearch(table, 0, Softmax(), FirstOrder(), TopK())


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
    state = copy.deepcopy(first.state_dict())
    monkeypatch.setattr(search_module, "time", Clock(9000.0))
    second = search()
    second.load_state_dict(state)
    _, (trial,) = finish(second)
    assert trial.cost_seconds == 2.0 * EPOCHS * STEPS
    assert trial.started == trial.finished - trial.cost_seconds
    assert trial.finished == 9000.0 + 2 * 2.0 * (EPOCHS * STEPS - 1)
