"""Relevance determination: the update and pruning by hand, then whole searches (sheet, sections 2.2, 2.3, 2.7)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import searches
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, space
from torch import Tensor, nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.digits import Digits
from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.networks.choices import Choices
from nas_cli.networks.genotype import Genotype
from nas_cli.strategies.gradient.architecture_gradient import SingleLevel
from nas_cli.strategies.gradient.ard import Ard
from nas_cli.strategies.gradient.entropy import Entropy
from nas_cli.strategies.gradient.mixing import Mixing, Progress, Softmax
from nas_cli.strategies.gradient.optimizers import Sgd
from nas_cli.strategies.gradient.search import GradientSearch
from nas_cli.strategies.gradient.stages import Single
from nas_cli.strategies.gradient.stopping import Epochs
from nas_cli.strategies.gradient.switches import ALIVE, OMEGA, VARIANCE, Switches

EDGES = ((0, 2), (1, 2), (2, 3))
NAMES = ("none", "skip_connect", "max_pool_3x3")


def relaxation(cells: int = 1) -> Any:
    """Three edges with two operations and `none`, all switches 1."""
    choices = {"normal": Choices(EDGES, (NAMES,) * 3, repeats=cells)}
    mixing = Switches()
    return SimpleNamespace(
        choices=choices, parameters=dict(mixing.initial(choices)), fixed=mixing.fixed(choices), mixing=mixing
    )


def estimate(ard: Ard, of: Any, curvature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    ard._estimate(of, "normal", curvature)
    return tuple(of.fixed[prefix + "normal"] for prefix in (VARIANCE, OMEGA, ALIVE))


def test_one_update_by_hand() -> None:
    """γ = 1, h = 3, λ = 1, s = 0.8: α = 0.75, ω = 0.8660254, γ = 0.9237604, and half of it under such an edge."""
    of = relaxation()
    of.parameters["normal"].fill_(0.8)
    variance, omega, alive = estimate(Ard(lambda_edge=1.0), of, torch.full((1, 3, 4), 3.0))
    assert variance[0].tolist() == pytest.approx([0, 0.4618802, 0.4618802, 0.9237604])
    assert omega[0, 1:].tolist() == pytest.approx([0.8660254] * 3)
    assert alive.tolist() == [[0, 1, 1, 1]] * 3
    # The stored, inherited variance enters the next slope: α = 3 / (1 + 3 · 0.4618802).
    _, omega, _ = estimate(Ard(lambda_edge=1.0), of, torch.full((1, 3, 4), 3.0))
    assert float(omega[0, 1]) == pytest.approx((3 / (1 + 3 * 0.4618802)) ** 0.5)


def test_cells_of_a_type_share_a_variance() -> None:
    """s = (.6, .8), h = (1, 3): ω = 1.1180340, γ = 0.8944272."""
    of = relaxation(cells=2)
    of.parameters["normal"][0] = 0.6
    of.parameters["normal"][1] = 0.8
    curvature = torch.ones(2, 3, 4)
    curvature[1] = 3
    variance, omega, _ = estimate(Ard(lambda_edge=1.0), of, curvature)
    assert [float(variance[0, -1]), float(omega[0, -1])] == pytest.approx([0.8944272, 1.1180340])


def test_lambda_divides_the_curvature_of_its_own_columns() -> None:
    _, omega, _ = estimate(Ard(lambda_edge=0.5, lambda_op=0.25), relaxation(), torch.ones(1, 3, 4))
    assert omega[0, 1:].tolist() == pytest.approx([(4 / 5) ** 0.5, (4 / 5) ** 0.5, (2 / 3) ** 0.5])


def test_what_hangs_together_falls_together() -> None:
    of = relaxation()
    s = of.parameters["normal"]
    s[0, 0, -1] = 0.03  # the first edge, and with it its operations
    s[0, 1, 1:3] = 0.03  # all operations of the second, and with them the edge
    s[0, 2, 1] = 0.03  # one operation of the third
    variance, _, alive = estimate(Ard(lambda_edge=1.0), of, torch.ones(1, 3, 4))
    assert alive.tolist() == [[0] * 4, [0] * 4, [0, 0, 1, 1]]
    assert torch.equal(s[0], torch.tensor([[0.0] * 4, [0.0] * 4, [0, 0, 1, 1]]))
    threshold = Ard().threshold
    assert (variance[:2] <= threshold).all()
    assert float(variance[2, 1]) == pytest.approx(1 / (1 / (0.03 * 2**0.5) + 2**-0.5), rel=1e-5)
    # Off for good, and with the variance that it was pruned at.
    before = variance.clone()
    s.fill_(5)
    variance, _, alive = estimate(Ard(lambda_edge=1.0), of, torch.ones(1, 3, 4))
    assert alive.tolist() == [[0] * 4, [0] * 4, [0, 0, 1, 1]]
    off = alive == 0
    assert torch.equal(variance[off], before[off])


@pytest.mark.parametrize(("variance", "kept"), [(0.0585, 0), (0.0586, 1)])
def test_pruned_is_what_has_no_entropy(variance: float, kept: int) -> None:
    of = relaxation()
    of.parameters["normal"][0, 0, -1] = variance / 2**0.5  # γ = |s| / ω with h = γ = λ = 1, so ω² = 1/2
    of.parameters["normal"][0, :, 1:-1] = 1e6
    _, _, alive = estimate(Ard(lambda_edge=1.0), of, torch.ones(1, 3, 4))
    assert alive[0, -1] == kept


def test_a_switch_without_effect_is_pruned_and_not_kept_for_its_infinite_variance() -> None:
    of, curvature = relaxation(), torch.ones(1, 3, 4)
    curvature[0, 0] = 0
    curvature[0, 1, 2] = 0
    variance, omega, alive = estimate(Ard(lambda_edge=1.0), of, curvature)
    assert alive.tolist() == [[0] * 4, [0, 1, 0, 1], [0, 1, 1, 1]]
    assert torch.isfinite(variance).all()
    assert torch.isfinite(omega).all()
    assert float(variance[1, 2]) == pytest.approx(Ard().threshold)


def test_a_chain_falls_with_its_first_edges() -> None:
    first, second = relaxation(), relaxation()
    for of in (first, second):
        of.parameters["normal"][0, :2, -1] = 1e-3
    _, _, alone = estimate(Ard(lambda_edge=1.0), first, torch.ones(1, 3, 4))
    _, _, chained = estimate(Ard(lambda_edge=1.0, hierarchy="chain"), second, torch.ones(1, 3, 4))
    assert alone[:, -1].tolist() == [0, 0, 1]
    assert chained.sum() == 0


def test_the_penalty_by_hand() -> None:
    of = relaxation(cells=2)
    of.parameters["normal"][0, :, -1] = 3
    of.parameters["normal"][1, :, -1] = 4
    of.fixed[OMEGA + "normal"][0, -1] = 7
    weights = of.mixing.weights({**of.parameters, **of.fixed})
    expected = 0.1 * 5 * (7 + 1 + 1) + 0.2 * 6 * 2**0.5
    found = Ard(lambda_edge=0.1, lambda_op=0.2).penalty(of, weights)
    assert found is not None
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(Ard(lambda_edge=0.1).penalty(of, weights)) == pytest.approx(4.5 + 0.6 * 2**0.5, rel=1e-5)  # type: ignore[arg-type]


def test_the_penalty_has_a_gradient_where_all_is_off() -> None:
    of = relaxation()
    of.parameters["normal"].zero_().requires_grad_()
    found = Ard().penalty(of, of.mixing.weights({**of.parameters, **of.fixed}))
    assert found is not None
    found.backward()  # type: ignore[no-untyped-call]
    assert (of.parameters["normal"].grad == 0).all()


def search(
    mixing: Mixing | None = None,
    seed: int = 0,
    epochs: int = 2,
    rate: float = 0.5,
    warm_up: float = 0.3,
    **options: Any,
) -> GradientSearch:
    shared = SharedImageWeights(space(), MadeUp(), CPU, seed, batch_size=8, split=0.8)
    return GradientSearch(
        shared,
        seed,
        mixing or Switches(),
        SingleLevel(),
        Sgd(rate),
        Entropy(),
        Single(),
        Epochs(),
        {"ard": Ard(**options)},
        epochs=epochs,
        warm_up=warm_up,
        gradient_clip=1.0,  # four steps an epoch need a rate at which switches would run away
    )


def lines_of(made: GradientSearch, steps: int = 1000) -> list[dict[str, Any]]:
    return searches.finish(made, steps)[0]


#: Pruned at the end of the fifth epoch.
PRUNING: dict[str, Any] = {"epochs": 6, "epochs_per_round": 5, "lambda_edge": 0.03, "batches": 1}


def alive(line: dict[str, Any]) -> int:
    return int(line["alive_normal"] + line["alive_reduce"])


@pytest.mark.parametrize("hessian", ["recursive", "fisher"])
def test_a_search_prunes_and_derives_what_is_left(hessian: str) -> None:
    made = search(**{**PRUNING, "hessian": hessian})
    lines = lines_of(made)
    assert [alive(line) for line in lines[:4]] == [30] * 4
    assert 30 > alive(lines[4]) >= alive(lines[5])
    found = Genotype.from_architecture(made.best().architecture)
    for kind, cell in (("normal", found.normal), ("reduce", found.reduce)):
        pairs = sum(len(node) for node in cell.nodes)
        assert pairs == lines[5][f"alive_{kind}"] or pairs <= 2  # where edges hang loose, or all is repaired


def test_rounds_end_at_their_epochs_and_with_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[tuple[int, str]] = []
    told: list[int] = []
    monkeypatch.setattr(Ard, "set_progress", lambda self, network, progress: told.append(progress.epoch))
    monkeypatch.setattr(Ard, "_estimate", lambda self, _, kind, rows: ends.append((told[-1], kind)))
    lines_of(search(epochs=5, epochs_per_round=2, batches=1))
    assert ends == [(epoch, kind) for epoch in (1, 3, 4) for kind in ("normal", "reduce")]
    assert told == [0, 1, 2, 3, 4]  # once an epoch
    ends.clear()
    lines_of(search(epochs=5, epochs_per_round=1, batches=1, warm_up=2.0))
    assert ends == [(epoch, kind) for epoch in (2, 3, 4) for kind in ("normal", "reduce")]


def test_resumed_it_is_the_same_bit_for_bit() -> None:
    whole = search(**PRUNING)
    lines = lines_of(whole)
    assert alive(lines[4]) < 30  # so that there is something to be restored
    for at in (1, 22):
        first, second = search(**PRUNING), search(**PRUNING)
        head = lines_of(first, at)
        second.load_state_dict(saved(first.state_dict()))
        assert head + lines_of(second) == lines


def test_switches_stand_still_while_weights_alone_are_trained() -> None:
    made = search()
    made.step()
    assert (made._relaxation.parameters["normal"] == 1).all()
    lines_of(made, 2)
    assert not (made._relaxation.parameters["normal"] == 1).all()


@pytest.mark.slow
def test_a_larger_lambda_keeps_fewer_operations() -> None:
    """Two rounds of three epochs on digits; at one λ the two settings of a search differ by nothing else."""
    kept = {}
    for strength in (0.001, 0.01):
        dataset = Digits("digits", Augmentation())
        shared = SharedImageWeights(space(channels=4), dataset, CPU, 0, batch_size=18, split=0.9, weight_decay=1e-4)
        ard = {"ard": Ard(lambda_edge=strength, epochs_per_round=3, hessian="fisher")}
        parts = (Switches(), SingleLevel(), Sgd(0.05), Entropy(), Single(), Epochs())
        kept[strength] = alive(lines_of(GradientSearch(shared, 0, *parts, ard, epochs=6, warm_up=0.3))[-1])
    assert kept[0.01] < kept[0.001]


class Texts(SharedWeights):
    """Shared weights of another kind."""


def test_what_does_not_go_together_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CombinationError, match="variances of strategy/mixing=switches, which Softmax lacks"):
        search(Softmax())
    monkeypatch.setattr(Texts, "__abstractmethods__", frozenset())
    with pytest.raises(CombinationError, match="in a supernet for images, not in that of Texts"):
        Ard().check(Switches(), object.__new__(Texts))


def test_an_unknown_layer_is_refused_before_the_first_step() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with pytest.raises(CombinationError, match="does not know the layer Tanh"):
        Ard().set_progress(network, Progress(0, 1))
    Ard(hessian="fisher").set_progress(network, Progress(0, 1))


@pytest.mark.parametrize(
    ("option", "bad", "told"),
    [
        ("lambda_edge", 0.0, "lambda_edge must be above 0"),
        ("lambda_op", -1.0, "lambda_op must be above 0 or null"),
        ("batches", 0, "batches must be at least 1"),
        ("epochs_per_round", 0, "epochs_per_round must be at least 1"),
        ("threshold", 0.0, "threshold must be above 0"),
    ],
)
def test_ranges(option: str, bad: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Ard(**{option: bad})
