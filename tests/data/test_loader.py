"""Endless loading: every image once per epoch, exact resume, normalisation, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Images, Source
from nas_cli.data.loader import Loader, in_order
from nas_cli.errors import InputError

CPU = torch.device("cpu")
FULL = Augmentation(crop_padding=2, flip=True, cutout=3)


def source_of(count: int, channels: int = 3) -> Images:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, channels, 6, 6), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(count), [100.0] * channels, [50.0] * channels)


class Recording(Source):
    """Notes how often an iterator was opened, and which batches it was asked for."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.mean, self.std = inner.mean, inner.std
        self.opened: list[list[int]] = []
        self.seeds: list[Sequence[int] | None] = []

    def __len__(self) -> int:
        return len(self.inner)

    def subset(self, indices: Sequence[int] | Tensor) -> Source:
        raise NotImplementedError

    def batches(
        self, order: Sequence[Tensor], device: torch.device, seeds: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        self.opened.append([len(batch) for batch in order])
        self.seeds.append(seeds)
        return self.inner.batches(order, device)


def test_every_image_comes_once_per_epoch_in_a_new_order() -> None:
    loader = Loader(source_of(10), 4, 0, CPU)
    assert len(loader) == 3
    epochs = []
    for _ in range(3):
        batches = [loader.next()[1] for _ in range(3)]
        assert [len(labels) for labels in batches] == [4, 4, 2]
        epochs.append(torch.cat(batches).tolist())
        assert sorted(epochs[-1]) == list(range(10))
    assert epochs[0] != epochs[1] != epochs[2]
    assert loader.drawn == 9


def test_batches_are_normalised_in_channels_last() -> None:
    source = source_of(8)
    images, labels = Loader(source, 8, 0, CPU).next()
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert images.is_contiguous(memory_format=torch.channels_last)
    ((raw, _),) = source.batches([labels], CPU)
    assert torch.allclose(images, (raw.double() - 100).float() / 50)


def test_augmented_batches_are_crops_of_black_framed_images_with_erased_squares() -> None:
    source = Images(torch.full((32, 1, 8, 8), 200, dtype=torch.uint8), torch.zeros(32, dtype=torch.int64), [100], [50])
    images, _ = Loader(source, 32, 0, CPU, Augmentation(crop_padding=3, cutout=2)).next()
    assert images.is_contiguous(memory_format=torch.channels_last)
    # White is 2, the black frame is -2, and only cutout makes 0.
    assert set(images.unique().tolist()) == {-2.0, 0.0, 2.0}


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 12), batch_size=st.integers(1, 13), before=st.integers(0, 9), seed=st.integers(0, 3))
def test_resume_anywhere_equals_uninterrupted(count: int, batch_size: int, before: int, seed: int) -> None:
    source = source_of(count)
    whole = Loader(source, batch_size, seed, CPU, FULL)
    for _ in range(before):
        whole.next()
    state = whole.state_dict()
    assert state == {"drawn": before}
    resumed = Loader(source, batch_size, seed, CPU, FULL)
    resumed.next()  # also a loader that has been used already goes on at the state
    resumed.load_state_dict(state)
    for _ in range(5):
        expected, got = whole.next(), resumed.next()
        assert torch.equal(expected[0], got[0])
        assert torch.equal(expected[1], got[1])


def test_one_iterator_per_epoch_and_a_resume_skips_without_reading() -> None:
    source = Recording(source_of(10))
    loader = Loader(source, 4, 0, CPU)
    for _ in range(6):
        loader.next()
    assert source.opened == [[4, 4, 2], [4, 4, 2]]
    source.opened.clear()
    resumed = Loader(source, 4, 0, CPU)
    resumed.load_state_dict({"drawn": 5})
    resumed.next()
    resumed.next()
    assert source.opened == [[2], [4, 4, 2]]


def test_seeds_differ_and_the_global_generator_is_untouched() -> None:
    before = torch.get_rng_state()
    first, again, other = (Loader(source_of(20), 20, seed, CPU, FULL).next() for seed in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], other[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_in_order_is_one_plain_pass() -> None:
    source = source_of(7)
    batches = list(in_order(source, 3, CPU))
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    ((raw, _),) = source.batches([torch.arange(7)], CPU)
    assert torch.allclose(torch.cat([images for images, _ in batches]), (raw.float() - 100) / 50)
    assert batches[0][0].is_contiguous(memory_format=torch.channels_last)


def test_batch_size_and_empty_sources_are_refused() -> None:
    with pytest.raises(InputError, match="batch_size=0"):
        Loader(source_of(3), 0, 0, CPU)
    with pytest.raises(InputError, match="no images"):
        Loader(source_of(3).subset([]), 2, 0, CPU)
    with pytest.raises(InputError, match="batch_size=-1"):
        list(in_order(source_of(3), -1, CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_pixels_cross_once_and_resume_is_exact() -> None:
    device = torch.device("cuda")
    source = source_of(10)
    whole = Loader(source, 4, 0, device, FULL)
    for _ in range(4):
        whole.next()
    resumed = Loader(source.subset(range(10)), 4, 0, torch.device("cuda:0"), FULL)
    resumed.load_state_dict(whole.state_dict())
    expected, got = whole.next(), resumed.next()
    assert expected[0].device.type == "cuda"
    assert torch.equal(expected[0], got[0])
    assert torch.equal(expected[1], got[1])
    assert len(source._copies) == 2


@pytest.mark.parametrize(
    ("count", "batch_size", "batches"),
    [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (3, 4, [3]), (3, 1, [1, 1, 1])],
)
def test_a_last_batch_of_one_image_is_left_out(count: int, batch_size: int, batches: list[int]) -> None:
    loader = Loader(source_of(count), batch_size, 0, CPU)
    assert len(loader) == len(batches)
    seen = set()
    for _ in range(20):
        epoch = [loader.next()[1] for _ in batches]
        assert [len(labels) for labels in epoch] == batches
        seen |= set(torch.cat(epoch).tolist())
    assert len(seen) == count  # another image is left out in each epoch


def test_every_batch_has_a_reading_seed_of_its_own_that_a_resume_finds_again() -> None:
    source = Recording(source_of(10))
    loader = Loader(source, 4, 0, CPU, Augmentation())
    for _ in range(6):
        loader.next()
    first, second = source.seeds
    assert first is not None
    assert second is not None
    assert len({*first, *second}) == 6
    resumed = Loader(source, 4, 0, CPU, Augmentation())
    resumed.load_state_dict({"drawn": 4})
    resumed.next()
    assert source.seeds[-1] == second[1:]


def test_without_augmentation_and_in_order_nothing_is_left_to_chance() -> None:
    source = Recording(source_of(10))
    Loader(source, 4, 0, CPU).next()
    list(in_order(source, 4, CPU))
    assert source.seeds == [None, None]


class Colours(Augmentation):
    """Doubles raw values, so that its place among the stages is seen."""

    def colour(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        return raw.float() * 2


def test_colours_are_changed_in_raw_units_before_the_normalisation() -> None:
    plain, changed = (Loader(source_of(10), 10, 0, CPU, kind()) for kind in (Augmentation, Colours))
    mean, std = source_of(10).mean.view(-1, 1, 1), source_of(10).std.view(-1, 1, 1)
    before, after = plain.next()[0], changed.next()[0]
    assert torch.allclose(after, (2 * (before * std + mean) - mean) / std, atol=1e-4)
