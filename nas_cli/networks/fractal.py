"""FractalNet: blocks grown by an expansion rule, regularised by dropping paths where they join.

Reference: Larsson, Maire, Shakhnarovich, FractalNet: Ultra-Deep Neural Networks without Residuals, ICLR 2017,
arXiv:1605.07648; what is called *released* is how its released code does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nas_cli.errors import require
from nas_cli.networks.fractal_rule import Alive, depth, joins, only, span

#: Whether columns are pooled before the last join of a block (released), or what they join to after it.
Pool = Literal["before_join", "after_join"]


class FractalConvolution(nn.Sequential):
    """3x3 convolution, dropout, batch normalisation, ReLU.

    Args:
        inputs, outputs: channels.
        dropout: probability of each number.
    Shape:
        x: (batch, inputs, height, width); returns: (batch, outputs, height, width)
    """

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.Dropout(dropout),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class FractalBlock(nn.Module):
    """Columns of convolutions that meet at joins, the means of what is alive there; then a 2x2 max-pool.

    Joins next to each other are one: their mean is over all their inputs, not of means of pairs.

    Args:
        inputs, outputs: channels.
        columns: C.
        dropout: probability after every convolution.
        pool: where the pool stands.
    Shape:
        x: (batch, inputs, height, width); returns: (batch, outputs, ⌊height / 2⌋, ⌊width / 2⌋)
    """

    def __init__(self, inputs: int, outputs: int, columns: int, dropout: float, pool: Pool) -> None:
        super().__init__()
        self.joins = joins(columns)
        self.columns = nn.ModuleList(
            nn.ModuleList(
                FractalConvolution(outputs if place else inputs, outputs, dropout) for place in range(depth(column))
            )
            for column in range(1, columns + 1)
        )
        self.pool_first = pool == "before_join"
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor, alive: Alive | None = None) -> Tensor:
        """What the block makes of `x`; a join where nothing is alive is skipped, the last one has to have something."""
        states: list[Tensor] = [x] * len(self.columns)  # what each column has made, or was joined to, so far
        joined = x
        for row, ending in enumerate(self.joins, start=1):
            kept = [column for place, column in enumerate(ending) if alive is None or alive[row - 1][place]]
            made = [self._convolution(column, row)(states[column - 1]) for column in kept]
            if row == len(self.joins) and self.pool_first:
                made = [self.pool(each) for each in made]
            if made:
                joined = made[0] if len(made) == 1 else torch.stack(made).mean(dim=0)
                for column in ending:
                    states[column - 1] = joined
        return joined if self.pool_first else self.pool(joined)

    def _convolution(self, column: int, row: int) -> nn.Module:
        """The one of a column that ends at a row."""
        place = row // span(column, len(self.columns)) - 1
        return self.columns[column - 1][place]  # type: ignore[index,no-any-return]


class FractalNetwork(nn.Module):
    """Fractal blocks, each at half the side of the one before, and a linear classifier.

    In training every forward pass draws once for the whole network: with probability `global_share` one column, the
    same in all blocks, else every input of every join by itself. In evaluation everything is alive and nothing is
    drawn.

    Args:
        columns: C of every block. Paper: 3 or 4.
        input_shape: (channels, height, width) of an image; sides of 2^B at least.
        classes: number of outputs.
        widths: channels of each of the B blocks. Paper: 64, 128, 256, 512, 512.
        pool: where a block's pool stands; the paper does not say.
        drop_path: probability of dropping an input of a join in a local draw. Paper: 0.15.
        global_share: of the draws, that are of one column. Paper: 0.5.
        dropout: probability in the last block; it grows from 0 in the first in equal steps. Paper: 0.4.
    Shape:
        x: (batch, channels, height, width); returns: (batch, classes)
    Differs from the paper: a path that is dropped is not computed either, so that its running statistics rest; maps
        larger than 1x1 after the last pool, which the paper's sizes do not leave, are averaged.
    Raises:
        InputError: for sizes that make no network, or probabilities that are none.
    """

    def __init__(
        self,
        columns: int,
        input_shape: tuple[int, int, int],
        classes: int,
        widths: Sequence[int],
        pool: Pool = "before_join",
        drop_path: float = 0.15,
        global_share: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check(widths, drop_path, global_share, dropout)
        require(columns >= 1, f"columns must be at least 1, not {columns}")
        require(classes >= 1, f"a network needs at least 1 class, not {classes}")
        inputs, height, width = input_shape
        require(
            min(height, width) >> len(widths) >= 1,
            f"images of {height}x{width} cannot be halved {len(widths)} times, once for each of widths={list(widths)}",
        )
        self.columns, self.drop_path, self.global_share = columns, drop_path, global_share
        last = max(1, len(widths) - 1)
        self.blocks = nn.ModuleList(
            FractalBlock(before, after, columns, dropout * number / last, pool)
            for number, (before, after) in enumerate(zip((inputs, *widths), widths, strict=False))
        )
        self.classifier = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor, column: int | None = None) -> Tensor:
        """The logits; with `column` of that column alone, from 1, and then nothing is drawn."""
        for block, alive in zip(self.blocks, self._alive(column), strict=True):
            x = block(x, alive)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # what is drawn decides what is computed
    def _alive(self, column: int | None) -> Sequence[Alive | None]:
        """What is alive in each block; None: everything."""
        if column is None and self.training:
            # Two numbers whatever comes of them; on the CPU, where they are read.
            mode, which = torch.rand(2, device="cpu").tolist()
            if mode < self.global_share:
                column = 1 + int(which * self.columns)
            elif self.drop_path:
                return self._local()
        return [None if column is None else only(column, self.columns)] * len(self.blocks)

    def _local(self) -> list[Alive]:
        rows = joins(self.columns)
        masks = local_masks([len(row) for row in rows] * len(self.blocks), self.drop_path).tolist()
        return [masks[number * len(rows) :][: len(rows)] for number in range(len(self.blocks))]


def local_masks(widths: Sequence[int], probability: float) -> Tensor:
    """Which inputs of each join are alive: each is dropped independently, and if all are, one of them is kept.

    Draws from torch's current generator, on the CPU.

    Args:
        widths: how many inputs each join has, 1 at least.
        probability: of dropping an input, in [0, 1).
    Shape:
        returns: (joins, most inputs), of bool; what is beyond a join's own inputs is false
    """
    sizes = torch.tensor(widths, device="cpu")[:, None]
    places = torch.arange(int(sizes.max()), device="cpu")
    alive = (torch.rand(len(widths), len(places), device="cpu") >= probability) & (places < sizes)
    saved = (torch.rand(len(widths), 1, device="cpu") * sizes).long()
    return torch.where(alive.any(dim=1, keepdim=True), alive, places == saved)


def check(widths: Sequence[int], drop_path: float, global_share: float, dropout: float) -> None:
    """Raise `InputError` for options of `FractalNetwork` that make no network."""
    require(len(widths) >= 1 and min(widths) >= 1, f"widths must be channels of 1 block or more, not {list(widths)}")
    require(0 <= drop_path < 1, f"drop_path must be in [0, 1), not {drop_path}")
    require(0 <= global_share <= 1, f"global_share must be in [0, 1], not {global_share}")
    require(0 <= dropout < 1, f"dropout must be in [0, 1), not {dropout}")


class Column(nn.Module):
    """One column of a trained fractal network, as a network of its own: B · 2^(c-1) convolutions, one behind the other.

    Args:
        network: whose weights these are.
        column: c, from 1.
    Shape:
        x: (batch, channels, height, width); returns: (batch, classes)
    """

    def __init__(self, network: FractalNetwork, column: int) -> None:
        super().__init__()
        self.network, self.column = network, column

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x, self.column)
        return logits
