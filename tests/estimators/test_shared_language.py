"""Shared weights of a language model: two texts walked together, and the search on them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, space
from made_up_text import MadeUpText, recurrent_space
from torch import Tensor

from nas_cli.data.sequences import Halved
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_language import SharedLanguageWeights
from nas_cli.networks.mixed import FanOut
from nas_cli.networks.recurrent import NO_DROPOUT, Dropouts
from nas_cli.strategies.gradient.architecture_gradient import (
    ArchitectureGradient,
    FirstOrder,
    SecondOrder,
    SingleLevel,
    look_ahead,
)
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.search import GradientSearch
from nas_cli.strategies.gradient.stages import Progressive, Single
from nas_cli.strategies.gradient.stopping import Epochs

SMALL: dict[str, Any] = {"batch_size": 10, "valid_batch_size": 5, "lengths": Halved(6, 0.2)}


def shared(begun: bool = True, **options: Any) -> SharedLanguageWeights:
    made = SharedLanguageWeights(recurrent_space(), MadeUpText(), CPU, 0, **{**SMALL, **options})
    if begun:
        made.begin(FanOut, 3)
        # Small steps would need many epochs from where the weights begin.
        with torch.no_grad():
            for parameter in made.network.parameters():
                parameter.mul_(10)
    return made


def weights(made: SharedLanguageWeights, grad: bool = False) -> dict[str, Tensor]:
    shape = made.space.choices["recurrent"].shape
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
    return {"recurrent": rows.requires_grad_(grad)}


def copies(made: SharedLanguageWeights) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in made.network.state_dict().items()}


def test_the_texts_are_walked_at_the_same_offset_modulo_their_length() -> None:
    made = shared()
    train, valid = made.begun.walk.text, made.begun.held_out
    assert (len(train), len(valid)) == (90, 22)
    offset = 0
    for _ in range(40):
        batch, held_out = made.train_batch(), made.held_out_batch()
        assert torch.equal(batch.tokens[0], train[offset])
        assert torch.equal(batch.targets[-1], train[offset + len(batch.tokens)])
        assert torch.equal(held_out.tokens[0], valid[offset % 21])
        assert torch.equal(held_out.targets[:-1], held_out.tokens[1:])
        offset = (offset + len(batch.tokens)) % 89


def test_each_text_has_a_state_of_its_own_that_is_carried_on() -> None:
    made = shared()
    given = weights(made)
    for step in range(2 * made.steps_per_epoch):
        first = made.begun.walk.at_start
        batch, held_out = made.train_batch(), made.held_out_batch()
        assert (batch.hidden is None) == (held_out.hidden is None) == first
        assert step > 0 or first
        made.loss(batch, given)  # the look-ahead is on the same window: it does not move the state
        assert made.begun.hidden["train"] is batch.hidden
        made.loss(held_out, given)
        made.weight_step(batch, given)
        mine = made.begun.hidden
        assert mine["train"] is not None
        assert mine["held_out"] is not None
        assert not torch.equal(mine["train"], mine["held_out"])
        assert not mine["train"].requires_grad


def test_the_rate_of_a_step_goes_by_its_length() -> None:
    made = shared()
    assert made.set_epoch(0) == made.set_epoch(2) == 20.0
    rates = set()
    for _ in range(20):
        batch = made.train_batch()
        rates.add(made.optimizer.param_groups[0]["lr"])
        assert made.optimizer.param_groups[0]["lr"] == 20.0 * len(batch.tokens) / 6
    assert {10.0, 20.0} <= rates


def test_all_losses_on_a_window_drop_the_same() -> None:
    made = shared(dropouts=Dropouts(0.5, 0.5, 0.5, 0.5, 0.2))
    made.network.train()
    first, second = made.train_batch(), made.train_batch()
    given = weights(made)
    found = made.loss(first, given)
    assert torch.equal(made.loss(first, given), found)
    made.network.eval()
    assert not torch.equal(made.loss(first, given), found)
    assert first.masks != second.masks


def test_losses_of_the_architecture_have_no_activation_penalty_and_move_no_statistics() -> None:
    made = shared(dropouts=NO_DROPOUT, batch_statistics=False, temporal=10.0)
    made.network.train()
    batch, given = made.train_batch(), weights(made, grad=True)
    before = copies(made)
    own = dict(made.network.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in made.network.named_buffers()}
    loss = made.loss(batch, given, {**own, **buffers})
    loss.backward()
    assert given["recurrent"].grad is not None
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    slope = made.network.model.layer.joint.grad.clone()  # type: ignore[union-attr,operator]
    made.optimizer.zero_grad()
    tally = made.backward(batch, weights(made))
    assert tally.metrics("train")["train_loss"] == pytest.approx(loss.item(), rel=1e-6)
    assert not torch.allclose(made.network.model.layer.joint.grad, slope)  # type: ignore[arg-type,union-attr]


def test_a_penalty_flows_into_the_edge_weights() -> None:
    made = shared(temporal=0.0)
    plain, raised = weights(made, grad=True), weights(made, grad=True)
    batch = made.train_batch()
    made.backward(batch, plain)
    made.backward(batch, raised, raised["recurrent"].sum() * 3)
    assert torch.allclose(raised["recurrent"].grad, plain["recurrent"].grad + 3, atol=1e-6)  # type: ignore[operator,arg-type]


def test_the_look_ahead_with_clipping_is_the_step_that_the_weights_then_take() -> None:
    made = shared(temporal=0.0, gradient_clip=0.25, weight_decay=1e-3, dropouts=Dropouts(0.5, 0.5, 0.5, 0.5, 0.0))
    given = weights(made)
    made.network.train()
    batch = made.train_batch()
    own = list(made.network.parameters())
    gradient = torch.autograd.grad(made.loss(batch, given), own)
    factor = min(1.0, 0.25 / torch.stack([slope.norm() for slope in gradient]).norm().item())
    assert factor < 1
    ahead = look_ahead(made.optimizer, own, [factor * slope for slope in gradient])
    made.weight_step(batch, given)
    for found, expected in zip(own, ahead, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_a_diverged_loss_changes_no_weights() -> None:
    made = shared()
    with torch.no_grad():
        made.network.model.bias.fill_(math.nan)  # type: ignore[union-attr,operator]
    before = copies(made)
    with pytest.raises(DivergedError):
        made.weight_step(made.train_batch(), weights(made))
    assert torch.equal(made.network.state_dict()["model.embedding"], before["model.embedding"])


def test_judging_leaves_everything_as_it_is() -> None:
    made = shared(batch_statistics=False)
    made.weight_step(made.train_batch(), weights(made))
    before, hidden = copies(made), made.begun.hidden["train"]
    state = torch.get_rng_state()
    plain = made.validate(weights(made)).metrics("valid")
    again = made.validate(weights(made), recalibrate=True).metrics("derived")
    assert made.score(plain) == -plain["valid_perplexity"]
    assert plain["valid_loss"] != again["derived_loss"]
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    assert made.begun.hidden["train"] is hidden
    assert torch.equal(torch.get_rng_state(), state)
    assert made.network.model.layer.nodes.norm.momentum == 0.1  # type: ignore[union-attr]


def test_recalibrated_statistics_are_those_of_the_training_windows() -> None:
    """What the one normalisation has seen at all nodes and steps of the windows."""
    made = shared(batch_statistics=False, dropouts=NO_DROPOUT)
    seen: list[Tensor] = []
    norm = made.network.model.layer.nodes.norm  # type: ignore[union-attr]
    handle = norm.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))  # type: ignore[union-attr,operator]
    with torch.no_grad():
        buffers = made._calibrated(weights(made))
    handle.remove()
    mean = torch.stack([values.mean(dim=0) for values in seen]).mean(dim=0)
    assert torch.allclose(buffers["model.layer.nodes.norm.running_mean"], mean, atol=1e-6)
    variance = torch.stack([values.var(dim=0) for values in seen]).mean(dim=0)
    assert torch.allclose(buffers["model.layer.nodes.norm.running_var"], variance, atol=1e-6)


def test_a_probe_counts_nowhere() -> None:
    made = shared()
    before = made.state_dict()
    torch.manual_seed(0)
    first, second = made.probe_batch(), made.probe_batch()
    assert len(first.tokens) == 6
    assert not torch.equal(first.tokens, second.tokens)
    made.loss(first, weights(made))
    assert made.state_dict()["walk"] == before["walk"]
    assert made.state_dict()["hidden"] == before["hidden"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((space(), MadeUpText()), "space=darts: has no language model for a supernet"),
        ((recurrent_space(), MadeUp()), "dataset=made_up: is no text"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[Any, Any], told: str) -> None:
    with pytest.raises(CombinationError, match=told):
        SharedLanguageWeights(*arguments, CPU, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"valid_batch_size": 1},
        {"learning_rate": 0.0},
        {"gradient_clip": 0.0},
        {"weight_decay": -1.0},
        {"temporal": -1.0},
        {"activation": -1.0},
    ],
)
def test_ranges(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        shared(begun=False, **options)


def test_a_text_that_is_too_short_is_told() -> None:
    made = SharedLanguageWeights(recurrent_space(), MadeUpText(valid=15), CPU, 0, **SMALL)
    with pytest.raises(InputError, match="dataset made_up_text: 15 words are too few for a batch of 10 columns"):
        made.begin(FanOut, 1)


def search(gradient: ArchitectureGradient | None = None, **options: Any) -> GradientSearch:
    return GradientSearch(
        shared(begun=False, **options),
        seed=0,
        mixing=Softmax(),
        architecture_gradient=gradient or FirstOrder(),
        optimizer=Adam(),
        derivation=TopK(),
        stages=Single(),
        stopping=Epochs(),
        epochs=2,
    )


def run(made: GradientSearch) -> list[dict[str, Any]]:
    lines = []
    while not made.done:
        step = made.step()
        if step.metrics is not None:
            lines.append(dict(step.metrics))
        for trial in step.trials:
            made.tell(trial)
    return lines


@pytest.mark.parametrize(
    "gradient",
    [FirstOrder(), FirstOrder(weights_first=True), SecondOrder(gradient_clip=0.25), SingleLevel()],
    ids=lambda gradient: type(gradient).__name__,
)
def test_a_search_gives_a_cell_with_one_predecessor_for_each_node(gradient: ArchitectureGradient) -> None:
    made = search(gradient)
    lines = run(made)
    best = made.best()
    assert best.score == -lines[-1]["valid_perplexity"] == -best.metrics["valid_perplexity"]
    assert made.shared.space.encode(best.architecture)
    assert lines[0]["train_perplexity"] > 0


def test_resumed_it_is_bit_for_bit_the_same() -> None:
    lines = run(search())
    first = search()
    for _ in range(20):
        first.step()
    second = search()
    second.load_state_dict(saved(first.state_dict()))
    assert run(second) == lines[1:]


def test_a_depth_is_refused() -> None:
    with pytest.raises(CombinationError, match="a recurrent cell is not stacked"):
        GradientSearch(
            shared(begun=False),
            seed=0,
            mixing=Softmax(),
            architecture_gradient=FirstOrder(),
            optimizer=Adam(),
            derivation=TopK(),
            stages=Progressive(),
            stopping=Epochs(),
        ).step()
