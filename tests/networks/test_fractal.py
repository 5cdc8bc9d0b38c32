"""Fractal networks, with the sheet's numbers (systems sheet on reinforcement learning, section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.fractal import Column, FractalBlock, FractalConvolution, FractalNetwork, Pool, local_masks
from nas_cli.networks.fractal_rule import depth, joins
from nas_cli.seeding import seeded

SMALL, FULL = (16, 32, 64, 128, 128), (64, 128, 256, 512, 512)
IMAGE = (3, 16, 16)


def network(columns: int = 3, **options: object) -> FractalNetwork:
    with seeded(0, "network"):
        made = FractalNetwork(columns, IMAGE, 5, (4, 6, 8), **options)  # type: ignore[arg-type]
        for norm in norms(made):  # statistics that are no one's default
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    return made


def norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (each for each in module.modules() if isinstance(each, nn.BatchNorm2d))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(6, *IMAGE, generator=torch.Generator().manual_seed(0))


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def toy(columns: int, alive: list[list[bool]] | None = None) -> float:
    """A block whose convolutions double a number and whose pool does nothing."""
    block = FractalBlock(1, 1, columns, 0.0, "before_join").double()
    block.columns = nn.ModuleList(nn.ModuleList(Double() for _ in column) for column in block.columns)  # type: ignore[arg-type]
    block.pool = nn.Identity()  # type: ignore[assignment]
    return float(block(torch.ones(1, 1, 1, 1, dtype=torch.float64), alive))


@pytest.mark.parametrize(("columns", "value"), [(1, 2), (2, 3), (3, 20 / 3), (4, 33.83333), (5, 916.15556)])
def test_toy_values(columns: int, value: float) -> None:
    assert toy(columns) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("columns", range(1, 6))
def test_a_toy_column_alone_doubles_once_for_each_of_its_convolutions(columns: int) -> None:
    for column in range(1, columns + 1):
        assert toy(columns, [[each == column for each in row] for row in joins(columns)]) == 2.0 ** depth(column)


def test_a_join_is_the_mean_of_what_is_alive() -> None:
    alive = [[True], [True, False], [True], [True, False, True]]
    # Row 2 keeps column 2: 2. Row 4: column 1 of the input, 2, and column 3 over row 3, 2 · 2 · 2.
    assert toy(3, alive) == (2 + 8) / 2


@pytest.mark.parametrize(
    ("widths", "columns", "weights"),
    [
        *((SMALL, c, n) for c, n in enumerate([244_656, 832_608, 2_107_152, 4_754_880, 10_148_976, 21_035_808], 1)),
        (FULL, 3, 33_698_880),
        (FULL, 4, 76_057_344),
    ],
)
def test_weights_of_convolutions(widths: tuple[int, ...], columns: int, weights: int) -> None:
    with torch.device("meta"):
        made = FractalNetwork(columns, (3, 32, 32), 10, widths)
    assert sum(p.numel() for p in made.parameters() if p.dim() == 4) == weights
    if (widths, columns) == (FULL, 3):
        assert sum(p.numel() for p in made.parameters()) == 33_724_618


def plain(made: FractalNetwork, column: int) -> nn.Sequential:
    """The convolutions of one column, one behind the other."""
    layers: list[nn.Module] = []
    for block in made.blocks:
        layers += [*block.columns[column - 1], nn.MaxPool2d(2)]  # type: ignore[index,misc]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), made.classifier)


@pytest.mark.parametrize("pool", ["before_join", "after_join"])
@pytest.mark.parametrize("column", [1, 2, 3])
def test_one_column_is_the_plain_network_bitwise(images: Tensor, column: int, pool: Pool) -> None:
    made = network(pool=pool).eval()
    alone = plain(made, column).eval()
    assert sum(isinstance(layer, FractalConvolution) for layer in alone) == 3 * depth(column)
    assert torch.equal(made(images, column), alone(images))
    assert torch.equal(Column(made, column)(images), alone(images))


def test_gradient_reaches_only_that_column(images: Tensor) -> None:
    for column in (1, 2, 3):
        made = network().train()
        made(images, column).square().sum().backward()
        for block in made.blocks:
            for number, convolutions in enumerate(block.columns, start=1):  # type: ignore[arg-type]
                slopes = [parameter.grad for parameter in convolutions.parameters()]
                if number == column:
                    assert all(slope is not None for slope in slopes)
                    assert any(bool(slope.abs().sum() > 0) for slope in slopes if slope is not None)
                else:
                    assert slopes == [None] * len(slopes)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_as_many_networks_by_global_drop_as_columns(images: Tensor, columns: int) -> None:
    made = network(columns, global_share=1.0).train()
    for norm in norms(made):
        norm.eval()  # the same for all, so that only what is alive makes a difference
    with seeded(0, "draws"):
        found = {made(images).sum().item() for _ in range(40)}
    assert found == {made(images, column).sum().item() for column in range(1, columns + 1)}
    assert len(found) == columns


def test_evaluation_draws_nothing_and_is_the_same_every_time(images: Tensor) -> None:
    made = network(dropout=0.4).eval()
    with seeded(0, "draws"):
        before = torch.get_rng_state()
        first = made(images)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(made(images), first)


def test_no_drop_path_at_all_is_the_whole_network(images: Tensor) -> None:
    made = network(drop_path=0.0, global_share=0.0).train()
    for norm in norms(made):
        norm.eval()
    whole = made(images)
    made.eval()
    assert torch.equal(made(images), whole)


def test_the_share_of_global_draws_and_of_each_column() -> None:
    made = network(3, drop_path=0.5).train()
    rows = joins(3)
    one = {column: [[each == column for each in row] for row in rows] for column in (1, 2, 3)}
    draws = 1000
    with seeded(0, "draws"):
        drawn = [made._alive(None) for _ in range(draws)]
    # Local draws keep something in every join, global ones have joins that their column does not reach.
    counts = [sum(all(alive == one[column] for alive in each) for each in drawn) for column in (1, 2, 3)]
    for count in counts:
        assert abs(count - draws / 6) < 4 * math.sqrt(draws * (1 / 6) * (5 / 6))


def test_local_masks_are_never_empty_and_as_often_alive_as_they_should() -> None:
    draws = 100_000
    for width, survivors, kept in [(2, 1.7225, 0.86125), (3, 2.553375, 0.851125), (4, 3.40050625, 0.8501265625)]:
        with seeded(width, "masks"):
            alive = local_masks([width] * draws, 0.15)
        counts = alive.sum(dim=1)
        assert int(counts.min()) >= 1
        sigma = float(counts.double().std()) / math.sqrt(draws)
        assert abs(float(counts.double().mean()) - survivors) < 4 * sigma
        for place in range(width):
            share = float(alive[:, place].double().mean())
            assert abs(share - kept) < 4 * math.sqrt(kept * (1 - kept) / draws)


def test_local_masks_of_joins_of_any_width() -> None:
    with seeded(0, "masks"):
        alive = local_masks([1, 3, 2] * 1000, 0.9)
    assert alive.shape == (3000, 3)
    assert bool(alive.any(dim=1).all())
    assert bool(alive[0::3, 0].all())  # a row where one column ends is no join
    assert not bool(alive[0::3, 1:].any())
    assert not bool(alive[2::3, 2].any())


def test_a_local_draw_is_what_the_network_computes(images: Tensor) -> None:
    made = network(2, drop_path=0.6, global_share=0.0).train()
    for norm in norms(made):
        norm.eval()
    with seeded(3, "draws"):
        alive = made._alive(None)
    assert any(row != [True, True] for block in alive for row in block or () if len(row) == 2)
    with seeded(3, "draws"):
        logits = made(images)
    x = images
    for block, (_, last) in zip(made.blocks, alive, strict=True):  # type: ignore[misc]
        (short,), (first, second) = block.columns  # type: ignore[misc]
        made_of = [block.pool(short(x)), block.pool(second(first(x)))]  # type: ignore[operator]
        kept = [each for each, is_alive in zip(made_of, last, strict=False) if is_alive]
        x = torch.stack(kept).mean(dim=0)
    assert torch.allclose(made.classifier(x.mean(dim=(2, 3))), logits, atol=1e-6)


def test_one_column_of_one_convolution_is_a_block_of_vgg() -> None:
    block = FractalBlock(3, 8, 1, 0.25, "before_join")
    ((convolution,),) = block.columns  # type: ignore[misc]
    kinds = [type(layer) for layer in convolution]  # type: ignore[attr-defined]
    assert kinds == [nn.Conv2d, nn.Dropout, nn.BatchNorm2d, nn.ReLU]
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    block.eval()
    assert torch.equal(block(x), nn.functional.max_pool2d(convolution(x), 2))


def test_where_the_pool_stands_matters(images: Tensor) -> None:
    block = FractalBlock(3, 8, 2, 0.0, "before_join").eval()
    (short,), (first, second) = block.columns  # type: ignore[misc]
    ways = [short(images), second(first(images))]
    assert torch.allclose(block(images), sum(map(block.pool, ways)) / 2, atol=1e-6)  # type: ignore[arg-type]
    block.pool_first = False
    assert torch.allclose(block(images), block.pool(sum(ways) / 2), atol=1e-6)


def test_dropout_grows_from_block_to_block() -> None:
    with torch.device("meta"):
        made = FractalNetwork(3, (3, 32, 32), 10, FULL, dropout=0.4)
    rates = [{each.p for each in block.modules() if isinstance(each, nn.Dropout)} for block in made.blocks]
    assert [len(found) for found in rates] == [1] * 5
    assert [found.pop() for found in rates] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_weights_begin_as_glorot_says() -> None:
    made = network(2)
    bound = math.sqrt(6 / (9 * 4 + 9 * 6))  # 3x3, from 4 channels to 6
    ((convolution,), _) = made.blocks[1].columns  # type: ignore[misc]
    weight = convolution[0].weight.detach()  # type: ignore[index,union-attr]
    assert 0.9 * bound < float(weight.abs().max()) <= bound
    assert not bool(made.classifier.bias.any())


def test_maps_larger_than_one_pixel_are_averaged() -> None:
    made = FractalNetwork(2, (1, 12, 12), 5, (4, 6)).eval()
    assert made(torch.zeros(2, 1, 12, 12)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": 0}, "columns must be at least 1"),
        ({"classes": 0}, "at least 1 class"),
        ({"widths": ()}, "1 block or more"),
        ({"widths": (4, 0)}, "1 block or more"),
        ({"widths": (4,) * 5}, "images of 16x16 cannot be halved 5 times"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\)"),
        ({"global_share": 1.5}, r"global_share must be in \[0, 1\]"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\)"),
    ],
)
def test_what_makes_no_network_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        FractalNetwork(**{"columns": 2, "input_shape": IMAGE, "classes": 5, "widths": (4, 6), **options})  # type: ignore[arg-type]
