"""Episodes: classes, counts, disjointness, counted randomness (systems sheet, sec. 3.7)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nas_cli.data.augmentation import PLAIN
from nas_cli.data.base import Dataset, Images
from nas_cli.data.digits import Digits
from nas_cli.data.episodes import Episode, Episodes, Sampler
from nas_cli.data.few_shot import FewShotDataset
from nas_cli.errors import CombinationError, InputError

CPU = torch.device("cpu")
CLASSES, PER_CLASS = 6, 8


class Numbered(Dataset):
    """Images that say who they are: pixel (0, 0) is the class, pixel (0, 1) the number in the class, the others 0."""

    input_shape = (1, 4, 4)
    classes = CLASSES

    def __init__(self, per_class: int = PER_CLASS) -> None:
        super().__init__("numbered", PLAIN)
        self.per_class = per_class

    def train(self) -> Images:
        labels = torch.arange(CLASSES * self.per_class) % CLASSES
        pixels = torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8)
        pixels[:, 0, 0, 0] = 10 + labels.to(torch.uint8)
        pixels[:, 0, 0, 1] = 100 + torch.arange(len(labels)).to(torch.uint8) // CLASSES
        return Images(pixels, labels, [0.0], [1.0])

    def test(self) -> Images:
        return self.train()


class NumberedFewShot(FewShotDataset):
    input_shape = (1, 4, 4)
    classes = 2 * CLASSES

    def __init__(self) -> None:
        super().__init__("few", PLAIN)

    def meta_train(self) -> Images:
        return Numbered().train()

    def meta_test(self) -> Images:
        return Numbered().train()


def sampler(seed: int = 0, **options: Any) -> Sampler:
    given = {"ways": 3, "shots": 2, "queries": 4, "train_classes": 4, "rotations": False, **options}
    return Episodes(**given).train(Numbered(), seed, CPU)


def who(images: torch.Tensor) -> list[tuple[int, int]]:
    """(class, number) of each image, whichever way it is turned."""
    found = []
    for image in images[:, 0]:
        values = sorted(int(value) for value in image.flatten() if value)
        found.append((values[0] - 10, values[1] - 100))
    return found


def equal(a: Episode, b: Episode) -> bool:
    return all(torch.equal(x, y) for x, y in zip((*a.support, *a.query), (*b.support, *b.query), strict=True))


@pytest.mark.parametrize("rotations", [False, True])
def test_n_classes_relabelled_with_k_support_and_disjoint_queries(rotations: bool) -> None:
    made = sampler(rotations=rotations)
    for number in range(20):
        episode = made.episode(number)
        (images, labels), (queries, query_labels) = episode.support, episode.query
        assert labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert query_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert images.shape == (6, 1, 4, 4)
        assert images.dtype == torch.float32
        for label in range(3):
            support, query = who(images[labels == label]), who(queries[query_labels == label])
            assert len({kind for kind, _ in support + query}) == 1  # one class behind one label
            assert len(set(support + query)) == 6  # and no image twice
        if not rotations:
            assert len({kind for kind, _ in who(images)}) == 3


def test_train_and_test_classes_are_disjoint_and_all_come_up() -> None:
    options = Episodes(3, 2, 2, train_classes=3, rotations=False)
    seen = [
        {kind for number in range(40) for kind, _ in who(made.episode(number).support[0])}
        for made in (options.train(Numbered(), 0, CPU), options.test(Numbered(), 0, CPU))
    ]
    assert seen == [{0, 1, 2}, {3, 4, 5}]


def test_a_number_gives_the_same_episode_whatever_came_before() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first, second = sampler(), sampler()
    straight = [first.episode(number) for number in range(6)]
    for number in (5, 2, 0, 5):
        assert equal(second.episode(number), straight[number])
    assert not equal(straight[0], straight[1])
    assert not equal(sampler(seed=1).episode(0), straight[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_turned_class_is_a_class_of_its_own() -> None:
    made = sampler(rotations=True, ways=16)
    assert made.classes == 16  # four classes, four ways up
    images, labels = made.episode(0).support
    forms = set()
    for label in range(16):
        corners = [[int(image[0, row, column]) for row, column in ((0, 0), (3, 0), (3, 3), (0, 3))] for image in images]
        own = [corner for corner, found in zip(corners, labels.tolist(), strict=True) if found == label]
        turns = {next(place for place, value in enumerate(corner) if value) for corner in own}
        assert len(turns) == 1  # all images of a class are turned alike
        forms.add((who(images[labels == label])[0][0], turns.pop()))
    assert forms == {(kind, turn) for kind in range(4) for turn in range(4)}


def test_halves_share_no_class() -> None:
    parts = sampler(rotations=True, ways=2).halves()
    kinds = [{kind for number in range(40) for kind, _ in who(part.episode(number).support[0])} for part in parts]
    assert kinds == [{0, 1}, {2, 3}]


def test_digits_make_24_and_16_classes() -> None:
    options, digits = Episodes(), Digits("digits")
    assert options.train(digits, 0, CPU).classes == 24
    test = options.test(digits, 0, CPU)
    assert test.classes == 16
    images, _ = test.episode(0).support
    assert images.shape == (15, 1, 8, 8)


def test_smaller_images_are_means() -> None:
    large, small = sampler().episode(0).query[0], sampler(side=2).episode(0).query[0]
    assert small.shape == (12, 1, 2, 2)
    assert torch.allclose(small, large.reshape(12, 1, 2, 2, 2, 2).mean((-1, -3)))
    assert Episodes(side=2).input_shape(Numbered()) == (1, 2, 2)


def test_images_are_normalised() -> None:
    digits = Digits("digits")
    made = Episodes(ways=3, shots=5, queries=10).train(digits, 0, CPU)
    images = torch.cat([made.episode(number).query[0] for number in range(30)])
    assert abs(float(images.mean())) < 0.05
    assert abs(float(images.std()) - 1) < 0.05


def test_a_data_set_with_its_own_split_keeps_it() -> None:
    options = Episodes(ways=3, shots=1, queries=1, train_classes=1, rotations=False)
    assert options.train(NumberedFewShot(), 0, CPU).classes == options.test(NumberedFewShot(), 0, CPU).classes == 6
    with pytest.raises(CombinationError, match="few: its test classes are not among its training classes"):
        NumberedFewShot().train()
    with pytest.raises(CombinationError, match="strategy=tnas"):
        NumberedFewShot().test()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ways": 1}, "ways must be at least 2, not 1"),
        ({"shots": 0}, "shots must be at least 1, not 0"),
        ({"queries": 0}, "queries must be at least 1, not 0"),
        ({"side": 0}, "side must be at least 1 or null, not 0"),
        ({"ways": 5}, "ways=5: there are only 4 classes"),
        ({"shots": 6}, "class 0 has 8 images, fewer than shots . queries = 10"),
        ({"train_classes": 6}, "train_classes=6: must leave some of the 6 classes of dataset numbered"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        sampler(**options)


def test_images_are_never_enlarged() -> None:
    with pytest.raises(InputError, match="side=5: must be at most 4"):
        Episodes(side=5).input_shape(Numbered())
