"""The training of a supernet's weights."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from checkpoints import saved
from made_up import CPU, MadeUp, space
from torch import nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.hardware import Hardware
from nas_cli.networks.mixed import FanOut
from nas_cli.schedules import Cosine, WarmUp
from nas_cli.seeding import seeded
from nas_cli.spaces.functions import Branin


def shared(dataset: MadeUp | None = None, seed: int = 0, **options: Any) -> SharedImageWeights:
    made = SharedImageWeights(space(), dataset or MadeUp(), CPU, seed, **{"batch_size": 8, **options})
    made.begin(FanOut, epochs=4)
    return made


def uniform() -> dict[str, torch.Tensor]:
    return {kind: torch.full(c.shape, 1 / c.shape[1]) for kind, c in space().choices.items()}


def images_of(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> set[bytes]:
    return {image.numpy().tobytes() for images, _ in batches for image in images}


def test_the_two_parts_share_no_image_and_are_the_two_halves_in_stored_order() -> None:
    made = shared()
    assert made.steps_per_epoch == 3  # 20 images in batches of 8
    train = images_of([made.train_batch() for _ in range(3)])
    held_out = images_of([made.held_out_batch() for _ in range(3)])
    assert len(train) == len(held_out) == 20
    assert not train & held_out


def test_the_split_is_a_share_and_the_test_images_are_not_read() -> None:
    dataset = MadeUp(images=40)
    made = shared(dataset, split=0.8)
    assert made.steps_per_epoch == 4
    assert made.validate(uniform()).images == 8
    assert dataset.reads["test"] == 0


def test_nothing_is_read_before_the_beginning() -> None:
    dataset = MadeUp()
    made = SharedImageWeights(space(), dataset, CPU, 0)
    assert dataset.reads == {"train": 0, "test": 0}
    with pytest.raises(RuntimeError, match="begin"):
        made.train_batch()


def test_the_learning_rate_is_on_the_cosine() -> None:
    made = shared(learning_rate=0.025)
    for epoch, share in enumerate([1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]):
        rate = made.set_epoch(epoch)
        assert rate == pytest.approx(0.001 + 0.024 * share)
        assert made.optimizer.param_groups[0]["lr"] == rate


def test_the_schedule_is_a_part() -> None:
    made = shared(learning_rate=0.5, schedule=WarmUp(Cosine(), epochs=2))
    assert [made.set_epoch(epoch) for epoch in range(2)] == [0.25, 0.5]


def test_cutout_of_ever_more_images() -> None:
    """A square of side 8 blanks at least 16 of the 64 pixels; few others are 0."""
    made = shared(MadeUp(), batch_size=20, cutout=8, cutout_ramp=True)

    def blanked() -> int:
        images, _ = made.train_batch()
        return int(((images == 0).flatten(1).sum(dim=1) >= 16).sum())

    counts = []
    for epoch in range(4):  # the whole training has 4
        made.set_epoch(epoch)
        counts.append(sum(blanked() for _ in range(5)))
    assert counts[0] == 0
    assert 0 < counts[1] < counts[2] < counts[3] == 100


def test_a_weight_step_is_sgd_on_the_mean_loss_with_a_clipped_gradient() -> None:
    made = shared(momentum=0.0, weight_decay=0.1, gradient_clip=0.5, learning_rate=0.3)
    batch = made.train_batch()
    twin = copy.deepcopy(made.network)
    weights = {kind: rows.clone().requires_grad_() for kind, rows in uniform().items()}
    with seeded(0, "step"):
        tally = made.weight_step(batch, weights)
    assert all(rows.grad is None for rows in weights.values())  # nothing flows into the architecture

    twin.train()
    with seeded(0, "step"):
        logits = twin(batch[0], uniform())
    loss = F.cross_entropy(logits, batch[1])
    gradient = torch.autograd.grad(loss, list(twin.parameters()))
    norm = math.sqrt(sum(slope.square().sum().item() for slope in gradient))
    assert norm > 0.5
    for new, old, slope in zip(made.network.parameters(), twin.parameters(), gradient, strict=True):
        wanted = old - 0.3 * (slope * 0.5 / norm + 0.1 * old)
        assert torch.allclose(new, wanted, atol=1e-6)
    assert tally.metrics("train")["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert tally.images == 8


def test_validation_is_the_whole_held_out_part_and_changes_nothing() -> None:
    made = shared()
    made.weight_step(made.train_batch(), uniform())
    before = copy.deepcopy(made.network.state_dict())
    drawn = copy.deepcopy((made.state_dict()["train"], made.state_dict()["held_out"]))
    first, second = made.validate(uniform()), made.validate(uniform())
    assert first == second
    assert first.images == 20
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    assert (made.state_dict()["train"], made.state_dict()["held_out"]) == drawn


@pytest.mark.parametrize("at", range(5))
def test_restored_it_goes_on_bit_for_bit(at: int) -> None:
    dataset = MadeUp(augmentation=Augmentation(crop_padding=1, flip=True))

    def steps(made: SharedImageWeights, count: int) -> list[Any]:
        return [(made.weight_step(made.train_batch(), uniform()), made.held_out_batch()[0].sum()) for _ in range(count)]

    whole, first, second = shared(dataset), shared(dataset), shared(dataset)
    expected = steps(whole, 5)
    head = steps(first, at)
    second.load_state_dict(saved(first.state_dict()))
    assert head + steps(second, 5 - at) == expected
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


def test_seeds_differ_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    weights = [next(shared(seed=seed).network.parameters()) for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_architecture_s_loss_with_other_values_leaves_the_supernet_alone() -> None:
    made = shared()
    made.weight_step(made.train_batch(), uniform())
    before = copy.deepcopy(made.network.state_dict())
    batch, weights = made.held_out_batch(), {kind: rows.requires_grad_() for kind, rows in uniform().items()}
    own = {name: value.detach() for name, value in made.network.named_parameters()}
    buffers = {name: value.clone() for name, value in made.network.named_buffers()}
    made.network.train()
    with seeded(0):
        loss = made.loss(batch, weights, {**own, **buffers})
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    assert any(not torch.equal(value, before[name]) for name, value in buffers.items() if name in before)
    assert all(slope.any() for slope in torch.autograd.grad(loss, list(weights.values())))
    with seeded(0):
        assert torch.equal(made.loss(batch, uniform()), loss)  # the same function on its own values
    doubled = {name: 2 * value for name, value in own.items()}
    with seeded(0):
        assert not torch.equal(made.loss(batch, uniform(), {**doubled, **buffers}), loss)


def test_full_precision_is_float32_in_a_run_of_less(monkeypatch: pytest.MonkeyPatch) -> None:
    made = SharedImageWeights(space(), MadeUp(), Hardware("cpu", precision="bf16"), 0, batch_size=8)
    made.begin(FanOut, epochs=1)
    seen: list[bool] = []
    made.network.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    batch = made.held_out_batch()
    losses = [made.loss(batch, uniform(), full_precision=full) for full in (False, True)]
    assert seen == [True, False]
    assert [loss.dtype for loss in losses] == [torch.float32] * 2


def test_backward_adds_a_penalty_and_flows_into_the_edge_weights() -> None:
    made = shared()
    batch, weights = made.train_batch(), {kind: rows.requires_grad_() for kind, rows in uniform().items()}
    made.network.train()
    found = torch.autograd.grad(made.loss(batch, weights), list(weights.values()))
    tally = made.backward(batch, weights, penalty=weights["normal"].sum() * 3)
    normal, reduce = (weights[kind].grad for kind in ("normal", "reduce"))
    torch.testing.assert_close(normal, found[0] + 3)
    torch.testing.assert_close(reduce, found[1])
    assert tally.images == 8
    assert tally.metrics("train")["train_loss"] < 3 * 5  # that of the images alone


def test_a_look_at_the_held_out_part_is_counted_nowhere() -> None:
    made = shared()
    before = copy.deepcopy(made.state_dict())
    held_out = images_of([made.held_out_batch() for _ in range(3)])
    made.load_state_dict(before)
    with seeded(0):
        first, labels = made.probe_batch()
    with seeded(1):
        second, _ = made.probe_batch()
    assert (first.shape, labels.shape) == ((8, 1, 8, 8), (8,))
    assert images_of([(first, labels)]) <= held_out
    assert not torch.equal(first, second)
    assert made.state_dict()["held_out"] == before["held_out"]


def test_statistics_measured_anew_judge_and_are_put_back() -> None:
    made = shared(batch_size=10)  # so that all twenty training images are one batch
    made.weight_step(made.train_batch(), uniform())
    before, momenta = copy.deepcopy(made.network.state_dict()), [m.momentum for m in norms(made.network)]
    anew, plain = made.validate(uniform(), recalibrate=True), made.validate(uniform())
    assert anew.metrics("valid")["valid_loss"] != plain.metrics("valid")["valid_loss"]
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    assert [m.momentum for m in norms(made.network)] == momenta
    assert anew == made.validate(uniform(), recalibrate=True)


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_every_stage_has_its_own_supernet_order_and_depth() -> None:
    made = shared()
    first, batch = next(made.network.parameters()).detach().clone(), made.train_batch()
    made.begin(FanOut, epochs=4, stage=1)
    assert not torch.equal(next(made.network.parameters()), first)
    assert not torch.equal(made.train_batch()[0], batch[0])
    made.begin(FanOut, epochs=4)
    assert torch.equal(next(made.network.parameters()), first)
    choices = {
        kind: replace(open_, operations=(("skip_connect", "sep_conv_3x3"),) * 5)
        for kind, open_ in made.space.choices.items()
    }
    made.begin(FanOut, epochs=4, choices=choices, cells=4)
    assert len(made.network.cells) == 4  # type: ignore[arg-type]
    half = {kind: torch.full((5, 2), 0.5) for kind in choices}
    assert made.weight_step(made.train_batch(), half).images == 8  # type: ignore[attr-defined]


def test_a_bad_loss_stops_before_anything_is_changed() -> None:
    made = shared(MadeUp(scale=0.0))
    before = [p.detach().clone() for p in made.network.parameters()]
    with pytest.raises(DivergedError, match="the training loss of the supernet is nan"):
        made.weight_step(made.train_batch(), uniform())
    with pytest.raises(DivergedError, match="the validation loss of the supernet is nan"):
        made.validate(uniform())
    assert all(torch.equal(a, b) for a, b in zip(made.network.parameters(), before, strict=True))
    assert not made.optimizer.state


def test_a_bad_gradient_stops_before_anything_is_changed() -> None:
    made = shared()
    before = [p.detach().clone() for p in made.network.parameters()]
    next(made.network.parameters()).register_hook(lambda slope: slope * math.nan)
    with pytest.raises(DivergedError, match="the norm of the supernet's gradient is nan"):
        made.weight_step(made.train_batch(), uniform())
    assert all(torch.equal(a, b) for a, b in zip(made.network.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ("batch_size", 1),
        ("split", 0.0),
        ("split", 1.0),
        ("learning_rate", 0.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-3),
        ("gradient_clip", 0.0),
    ],
)
def test_ranges(option: str, bad: float) -> None:
    with pytest.raises(InputError, match=rf"^{option} must be .*, not {bad}$"):
        SharedImageWeights(space(), MadeUp(), CPU, 0, **{option: bad})  # type: ignore[arg-type]


def test_a_space_without_a_supernet_is_refused() -> None:
    with pytest.raises(CombinationError, match="space=branin has no supernet"):
        SharedImageWeights(Branin("branin"), MadeUp(), CPU, 0)


def test_augmentation_that_does_not_fit_is_refused_before_data_is_read() -> None:
    dataset = MadeUp(augmentation=Augmentation(cutout=9))
    with pytest.raises(InputError, match=r"augmentation\.cutout=9: must be at most the image side 8"):
        shared(dataset)
    assert dataset.reads == {"train": 0, "test": 0}
