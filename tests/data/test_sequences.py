"""A text in columns and windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_cli.data.sequences import Halved, Lengths, Spread, Walk, columns, in_order
from nas_cli.errors import InputError

CPU = torch.device("cpu")


def test_columns_are_the_text_cut_and_trimmed() -> None:
    assert columns(torch.arange(11), 3, CPU).tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    with pytest.raises(InputError, match="5 words are too few for a batch of 3 columns"):
        columns(torch.arange(5), 3, CPU)


def test_one_pass_predicts_every_word_but_the_first_once() -> None:
    text = columns(torch.arange(44), 4, CPU)
    windows = list(in_order(text, 3))
    assert [len(tokens) for tokens, _ in windows] == [3, 3, 3, 1]
    assert torch.equal(torch.cat([tokens for tokens, _ in windows]), text[:-1])
    assert torch.equal(torch.cat([targets for _, targets in windows]), text[1:])


def drawn(lengths: Lengths, count: int = 4000) -> list[int]:
    generator = np.random.default_rng(0)
    return [lengths.draw(generator) for _ in range(count)]


def test_search_windows_are_whole_or_half() -> None:
    found = drawn(Halved(35, 0.05))
    assert set(found) == {35, 17}
    assert found.count(17) / len(found) == pytest.approx(0.05, abs=0.012)
    assert Halved(35, 0.05).mean == pytest.approx(34.1)
    assert set(drawn(Halved(8, 0.0))) == {8}


def test_evaluation_windows_are_normal_about_the_length_or_half_of_it() -> None:
    found = np.array(drawn(Spread(35, 0.05, 5.0), 20_000))
    assert found.min() >= 5
    assert found.max() <= 55
    assert found.mean() == pytest.approx(Spread(35, 0.05, 5.0).mean, abs=0.2)
    assert (found < 22).mean() == pytest.approx(0.05 * 0.79, abs=0.01)  # N(17.5, 5) below 21.5: 0.79
    whole = np.array(drawn(Spread(35, 0.0, 5.0), 20_000))
    assert (whole.mean(), whole.std()) == (pytest.approx(35, abs=0.15), pytest.approx(5, abs=0.15))
    wide = np.array(drawn(Spread(35, 0.0, 40.0)))
    assert (wide.min(), wide.max()) == (5, 55)
    # In proportion for other lengths.
    small = np.array(drawn(Spread(7, 0.0, 20.0)))
    assert (small.min(), small.max()) == (1, 11)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Halved(1), "length must be at least 2, not 1"),
        (lambda: Halved(8, 1.0), r"half_probability must be in \[0, 1\), not 1"),
        (lambda: Spread(8, deviation=-1.0), "deviation must be at least 0, not -1"),
    ],
)
def test_ranges(make: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()  # type: ignore[operator]


def walk(seed: int = 3) -> Walk:
    return Walk(columns(torch.arange(120), 4, CPU), Halved(6, 0.3), seed)


def test_a_walk_covers_the_text_again_and_again() -> None:
    walked = walk()
    assert walked.at_start
    for _ in range(3):
        seen: list[torch.Tensor] = []
        while (not seen or not walked.at_start) and len(seen) < 30:
            tokens, targets = walked.next()
            assert torch.equal(targets - 1, tokens)
            seen.append(tokens)
        assert torch.equal(torch.cat(seen), walked.text[:-1])
        assert {len(tokens) for tokens in seen[:-1]} == {6, 3}


def test_an_epoch_is_as_long_as_the_text_on_average() -> None:
    assert len(walk()) == 6  # 29 predicted rows in windows of 5.1
    assert len(Walk(columns(torch.arange(120), 4, CPU), Halved(29, 0.0), 0)) == 1


def test_a_walk_goes_on_where_its_state_was_taken() -> None:
    first = walk()
    for _ in range(4):
        first.next()
    second = walk()
    second.load_state_dict(first.state_dict())
    for _ in range(12):
        assert torch.equal(first.next()[0], second.next()[0])
    assert [len(walk(1).next()[0])] == [len(walk(1).next()[0])]


def test_another_seed_gives_other_lengths() -> None:
    lengths = []
    for seed in (1, 2):
        walked = walk(seed)
        lengths.append([len(walked.next()[0]) for _ in range(20)])
    assert lengths[0] != lengths[1]
