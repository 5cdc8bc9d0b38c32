"""Training from scratch: rates, losses, and going on at any step."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from checkpoints import saved
from made_up import CPU, MadeUp, architecture, space
from torch import Tensor, nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import DivergedError
from nas_cli.hardware import Hardware
from nas_cli.networks.cell_network import CellNetwork
from nas_cli.networks.drop_path import DropPath
from nas_cli.optimizers import RmsProp
from nas_cli.schedules import Exponential, Staircase
from nas_cli.seeding import seeded
from nas_cli.training import Recipe, Training

RECIPE = Recipe(epochs=3, batch_size=16, drop_path=0.3, cutout=3, label_smoothing=0.1)
DATASET = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))


def training(recipe: Recipe = RECIPE, dataset: MadeUp = DATASET, seed: int = 0) -> Training:
    return Training(recipe, architecture(), space(), dataset, dataset.train(), CPU, seed)


def same(a: Any, b: Any) -> bool:
    """Equal bit for bit, tensors included."""
    if isinstance(a, Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def test_the_rate_of_each_epoch_is_on_the_cosine() -> None:
    made = training()
    rates = []
    while not made.done:
        made.step()
        rates.append(made.optimizer.param_groups[0]["lr"])
    # (1 + cos(π k / 3)) / 2 for k = 0, 1, 2; 40 images in batches of 16 are three steps an epoch.
    assert rates == pytest.approx([0.05 * share for share in (1.0, 0.75, 0.25) for _ in range(3)])


def test_another_schedule_gives_the_rates() -> None:
    made = training(dataclasses.replace(RECIPE, learning_rate=0.5, schedule=Exponential(0.5)))
    rates = [line["learning_rate"] for line in (made.step() for _ in range(9)) if line is not None]
    assert rates == [0.5, 0.25, 0.125]


def test_drop_path_grows_linearly_by_epoch() -> None:
    made = training()
    seen = []
    while not made.done:
        made.step()
        seen.append({module.probability for module in made.network.modules() if isinstance(module, DropPath)})
    assert seen == [{p} for p in (0.0, 0.3 * 1 / 3, 0.3 * 2 / 3) for _ in range(3)]


def test_metrics_once_an_epoch() -> None:
    made = training()
    lines = [made.step() for _ in range(9)]
    assert [line is not None for line in lines] == [False, False, True] * 3
    assert made.done
    assert made.total_steps == 9
    last = lines[-1]
    assert last is not None
    assert set(last) == {"epoch", "step", "learning_rate", "train_loss", "train_accuracy"}
    assert (last["epoch"], last["step"]) == (2, 9)
    assert 0 <= last["train_accuracy"] * 40 == pytest.approx(round(last["train_accuracy"] * 40))


@pytest.mark.parametrize("at", range(10))
def test_resumed_at_any_step_it_is_the_same_bit_for_bit(at: int) -> None:
    whole, first = training(), training()
    lines = [whole.step() for _ in range(9)]
    head = [first.step() for _ in range(at)]
    state = saved(first.state_dict())
    torch.manual_seed(99)  # whatever the process has drawn since must not matter
    second = training()
    second.load_state_dict(state)
    assert second.step_count == at
    tail = [second.step() for _ in range(9 - at)]
    assert head + tail == lines
    assert same(saved(second.state_dict()), saved(whole.state_dict()))
    assert second.test(DATASET.test()) == whole.test(DATASET.test())


def test_seeds_differ_and_global_generators_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    states = []
    for seed in (0, 0, 1):
        made = training(seed=seed)
        made.step()
        states.append(saved(made.state_dict())["network"])
    assert same(states[0], states[1])
    assert not same(states[0], states[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns_the_bars() -> None:
    made = training(dataclasses.replace(RECIPE, epochs=15, drop_path=0.0, cutout=0), MadeUp())
    first = made.test(DATASET.test()).metrics("test")
    while not made.done:
        made.step()
    last = made.test(DATASET.test()).metrics("test")
    assert last["test_accuracy"] > 0.9
    assert last["test_loss"] < first["test_loss"]


def test_a_loss_that_is_nan_changes_neither_weights_nor_optimiser() -> None:
    made = training()
    made.step()
    weights = copy.deepcopy(dict(made.network.named_parameters()))
    optimizer = copy.deepcopy(made.optimizer.state_dict())
    tally = copy.deepcopy(made._tally)
    bad = MadeUp(scale=0.0)  # divided by a deviation of 0
    made.loader = type(made.loader)(bad.train(), 16, 0, CPU.device)
    with pytest.raises(DivergedError, match=r"the training loss in epoch 0 is nan: .* try a smaller learning rate"):
        made.step()
    assert same(dict(made.network.named_parameters()), weights)
    assert same(made.optimizer.state_dict(), optimizer)
    assert (made.step_count, made._tally) == (1, tally)


def test_a_gradient_that_is_infinite_changes_nothing_either() -> None:
    made = training()
    weights = copy.deepcopy(dict(made.network.named_parameters()))
    next(made.network.parameters()).register_hook(lambda slope: slope * math.inf)
    with pytest.raises(DivergedError, match="gradient's norm in epoch 0 is"):
        made.step()
    assert same(dict(made.network.named_parameters()), weights)
    assert made.step_count == 0


def test_a_test_loss_that_is_nan_is_no_result() -> None:
    with pytest.raises(DivergedError, match="the loss on the test or validation images is nan"):
        training().test(MadeUp(scale=0.0).test())


def test_clipping_bounds_the_step() -> None:
    made = training(dataclasses.replace(RECIPE, gradient_clip=1e-3, weight_decay=0.0, learning_rate=1.0))
    before = [p.detach().clone() for p in made.network.parameters()]
    made.step()
    moved = math.sqrt(
        sum((p.detach() - b).square().sum().item() for p, b in zip(made.network.parameters(), before, strict=True))
    )
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_training_with_the_auxiliary_head_runs_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[dict[str, Any]] = []

    def fake(self: nn.Module) -> None:
        def call(*arguments: Any, **options: Any) -> Any:
            compiled.append(options)
            return self._call_impl(*arguments, **options)

        self._compiled_call_impl = call

    monkeypatch.setattr(nn.Module, "compile", fake)
    dataset = Larger(images=6)
    recipe = Recipe(epochs=1, batch_size=6, auxiliary_weight=0.4)
    hardware = Hardware("cpu", compile=True)
    made = Training(recipe, architecture(), space(channels=2, cells=3), dataset, dataset.train(), hardware, 0)
    made.step()
    assert compiled == [{"auxiliary": True}]


def test_a_last_batch_of_one_image_is_no_crash() -> None:
    # Images of 4x4 are maps of 1x1 after two reductions: there, normalisation needs two images.
    dataset = Small(images=17)
    made = Training(Recipe(epochs=1, batch_size=8), architecture(), space(), dataset, dataset.train(), CPU, 0)
    while not made.done:
        made.step()
    assert made.step_count == 2


class Larger(MadeUp):
    """Large enough for an auxiliary head after two reductions: a map of 7x7."""

    input_shape = (1, 28, 28)

    def _make(self, count: int, seed: int) -> Any:
        images = super()._make(count, seed)
        (pixels, labels), *_ = images._copies.values()
        return type(images)(pixels.repeat(1, 1, 4, 4)[:, :, :28, :28], labels, images.mean, images.std)


class Small(MadeUp):
    """Its maps have a side of 1 after two reductions."""

    input_shape = (1, 4, 4)

    def _make(self, count: int, seed: int) -> Any:
        images = super()._make(count, seed)
        (pixels, labels), *_ = images._copies.values()
        return type(images)(pixels[:, :, :4, :4], labels, images.mean, images.std)


@pytest.mark.parametrize(("weight", "smoothing"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.2), (0.4, 0.2)])
def test_the_loss_of_a_step_is_the_formula(weight: float, smoothing: float) -> None:
    dataset = Larger(images=6)
    recipe = Recipe(epochs=1, batch_size=6, auxiliary_weight=weight, label_smoothing=smoothing)
    cells = space(channels=2, cells=3)
    made = Training(recipe, architecture(), cells, dataset, dataset.train(), CPU, 0)
    assert isinstance(made.network, CellNetwork)
    assert (made.network.auxiliary_head is not None) == (weight > 0)
    twin = copy.deepcopy(made)
    metrics = made.step()
    assert metrics is not None

    images, labels = twin.loader.next()
    twin.network.train()
    with seeded(0, "step", 0):
        logits, auxiliary = twin.network(images, auxiliary=True)
    wanted = smoothed(logits, labels, smoothing)
    if weight:
        wanted = wanted + weight * smoothed(auxiliary, labels, smoothing)
    assert metrics["train_loss"] == pytest.approx(wanted.item(), rel=1e-5)
    if weight:
        assert auxiliary.shape == (6, 3)
        head = made.network.auxiliary_head
        assert head is not None
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in head.parameters() if p.dim() == 4)


def smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy against (1 - s) of the label and s / classes of every class (Szegedy et al., 2016, sec. 7)."""
    classes = logits.shape[1]
    target = torch.full_like(logits, smoothing / classes)
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def test_bfloat16_trains_with_weights_in_float32() -> None:
    hardware = Hardware("cpu", precision="bf16")
    made = Training(RECIPE, architecture(), space(), DATASET, DATASET.train(), hardware, 0)
    made.step()
    assert {p.dtype for p in made.network.parameters()} == {torch.float32}
    assert math.isfinite(made._tally.loss)


def test_a_pace_of_steps_moves_rate_and_drop_path_with_every_step() -> None:
    made = training(dataclasses.replace(RECIPE, pace="step"))
    rates, paths = [], []
    while not made.done:
        made.step()
        rates.append(made.optimizer.param_groups[0]["lr"])
        paths.append({module.probability for module in made.network.modules() if isinstance(module, DropPath)})
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * k / 9)) / 2 for k in range(9)])
    assert [path.pop() for path in paths] == pytest.approx([0.3 * k / 9 for k in range(9)])


FULL = dataclasses.replace(
    RECIPE, optimizer=RmsProp(), learning_rate=0.5, schedule=Staircase(0.5, 0.4), pace="step", weight_average=0.9
)


@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_with_all_of_nasnets_options_it_is_resumed_bit_for_bit(at: int) -> None:
    whole, first = training(FULL), training(FULL)
    lines = [whole.step() for _ in range(9)]
    head = [first.step() for _ in range(at)]
    second = training(FULL)
    second.load_state_dict(saved(first.state_dict()))
    assert head + [second.step() for _ in range(9 - at)] == lines
    assert same(saved(second.state_dict()), saved(whole.state_dict()))
    assert second.test(DATASET.test()) == whole.test(DATASET.test())


def test_averaged_weights_are_the_formula_and_are_tested() -> None:
    made, plain = training(FULL), training(dataclasses.replace(FULL, weight_average=0.0))
    average = made._average
    assert average is not None
    expected = {name: value.clone() for name, value in average._moving()}
    for step in range(1, 10):
        made.step()
        plain.step()
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in average._moving():
            expected[name] = decay * expected[name] + (1 - decay) * value
    assert same(
        saved(made.state_dict())["network"], saved(plain.state_dict())["network"]
    )  # the training itself does not notice
    assert set(average.values) == set(expected)
    assert any(name.endswith("running_var") for name in expected)
    for name, value in expected.items():
        assert torch.allclose(average.values[name], value, atol=1e-6)
    tested, last = made.test(DATASET.test()), plain.test(DATASET.test())
    assert tested != last
    assert same(saved(made.state_dict())["network"], saved(plain.state_dict())["network"])  # its own weights are back
    plain.network.load_state_dict(average.values, strict=False)
    assert plain.test(DATASET.test()) == tested


def test_rmsprop_steps_by_the_root_of_the_mean_square() -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    optimizer = RmsProp(decay=0.9, epsilon=1.0)([weight], 0.5, 0.0, 0.1)
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    slope = 2 + 0.1 * 3.0
    assert weight.item() == pytest.approx(3 - 0.5 * slope / (math.sqrt(0.1 * slope**2) + 1.0))
