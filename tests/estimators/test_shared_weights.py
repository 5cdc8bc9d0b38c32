"""The training of a supernet's weights."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from made_up import CPU, MadeUp, space

from nas_cli.data.augmentation import Augmentation
from nas_cli.errors import CombinationError, DivergedError, InputError
from nas_cli.estimators.shared_weights import SharedWeights
from nas_cli.networks.mixed import FanOut
from nas_cli.seeding import seeded
from nas_cli.spaces.functions import Branin


def shared(dataset: MadeUp | None = None, seed: int = 0, **options: Any) -> SharedWeights:
    made = SharedWeights(space(), dataset or MadeUp(), CPU, seed, **{"batch_size": 8, **options})
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
    made = SharedWeights(space(), dataset, CPU, 0)
    assert dataset.reads == {"train": 0, "test": 0}
    with pytest.raises(RuntimeError, match="begin"):
        made.train_batch()


def test_the_learning_rate_is_on_the_cosine() -> None:
    made = shared(learning_rate=0.025, learning_rate_min=0.001)
    for epoch, share in enumerate([1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]):
        rate = made.set_epoch(epoch)
        assert rate == pytest.approx(0.001 + 0.024 * share)
        assert made.optimizer.param_groups[0]["lr"] == rate


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

    def steps(made: SharedWeights, count: int) -> list[Any]:
        return [(made.weight_step(made.train_batch(), uniform()), made.held_out_batch()[0].sum()) for _ in range(count)]

    whole, first, second = shared(dataset), shared(dataset), shared(dataset)
    expected = steps(whole, 5)
    head = steps(first, at)
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
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
        ("learning_rate_min", -1.0),
        ("learning_rate_min", 0.06),
        ("momentum", 1.0),
        ("weight_decay", -1e-3),
        ("gradient_clip", 0.0),
    ],
)
def test_ranges(option: str, bad: float) -> None:
    with pytest.raises(InputError, match=rf"^{option} must be .*, not {bad}$"):
        SharedWeights(space(), MadeUp(), CPU, 0, **{option: bad})  # type: ignore[arg-type]


def test_a_space_without_a_supernet_is_refused() -> None:
    with pytest.raises(CombinationError, match="space=branin has no supernet"):
        SharedWeights(Branin("branin"), MadeUp(), CPU, 0)


def test_augmentation_that_does_not_fit_is_refused_before_data_is_read() -> None:
    dataset = MadeUp(augmentation=Augmentation(cutout=9))
    with pytest.raises(InputError, match=r"augmentation\.cutout=9: must be at most the image side 8"):
        shared(dataset)
    assert dataset.reads == {"train": 0, "test": 0}
