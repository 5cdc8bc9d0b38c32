"""The networks of T-NAS for images of about 84x84: a stem of two convolutions, a normal and a reduction cell.

Reference: Lian et al., Towards Fast Adaptation of Neural Architectures with Meta Learning, ICLR 2020, in its code.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.cell_network import NetworkCell
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.genotype import Genotype
from nas_cli.networks.operations import check_sides
from nas_cli.networks.supernet import FanOutFactory, MixedCell, by_cell

TYPES = ("normal", "reduce")  # of the two cells
HALVINGS = 2  # of the stem
SMALLEST_SIDE = 3  # after the stem: the reduction cell must leave 2x2, or five support images normalise badly


class FewShotStem(nn.Sequential):
    """Two 3x3 convolutions, to 3 C / 2 and to 3 C channels, each normalised and max-pooled, a ReLU between them.

    Args:
        inputs: channels of the images.
        channels: C, even. Paper: 16, so 24 and 48 channels.
    Shape:
        x: (batch, inputs, height, width), sides multiples of 4
        returns: (batch, 3 * channels, height / 4, width / 4)
    """

    def __init__(self, inputs: int, channels: int) -> None:
        width = 3 * channels
        super().__init__(
            nn.Conv2d(inputs, width // 2, 3, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.MaxPool2d(2),
        )


class FewShotNetwork(nn.Module):
    """The network of a pair of cells.

    Args:
        genotype: its normal and reduction cell.
        input_shape: (channels, height, width) of an image, sides multiples of 4.
        classes: ways of a task.
        channels: C of the normal cell, even; the reduction cell has 2 C. Paper: 16.
    Shape:
        x: (batch, channels, height, width)
        returns: (batch, classes)
    Raises:
        InputError: for sides that do not fit.
    """

    def __init__(self, genotype: Genotype, input_shape: tuple[int, int, int], classes: int, channels: int) -> None:
        super().__init__()
        _check(input_shape)
        width = 3 * channels
        self.stem = FewShotStem(input_shape[0], channels)
        inner = len(genotype.normal.concat) * channels
        self.normal = NetworkCell(genotype.normal, (width, width), channels, reduce=False, reduce_first=False)
        self.reduce = NetworkCell(genotype.reduce, (width, inner), 2 * channels, reduce=True, reduce_first=False)
        self.classifier = _classifier(len(genotype.reduce.concat) * 2 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x)
        second = self.normal(first, first)
        logits: Tensor = self.classifier(self.reduce(first, second))
        return logits


class FewShotSupernet(nn.Module):
    """The network that holds all pairs of cells; arguments as of `FewShotNetwork`.

    Args:
        choices: for the ``normal`` and the ``reduce`` cell.
        fan_out: makes the mixed edges of a node.
    Shape:
        x: (batch, channels, height, width); weights: for each type of cell (edges, operations)
        returns: (batch, classes)
    """

    def __init__(
        self,
        choices: CellChoices,
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int,
        fan_out: FanOutFactory,
    ) -> None:
        super().__init__()
        _check(input_shape)
        width = 3 * channels
        self.choices = choices
        self.stem = FewShotStem(input_shape[0], channels)
        inner = len(choices["normal"].targets) * channels
        self.normal = MixedCell(choices["normal"], (width, width), channels, False, False, fan_out)
        self.reduce = MixedCell(choices["reduce"], (width, inner), 2 * channels, True, False, fan_out)
        self.classifier = _classifier(len(choices["reduce"].targets) * 2 * channels, classes)

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        normal, reduce = by_cell(self.choices, weights, TYPES)
        first = self.stem(x)
        second = self.normal(first, first, normal)
        logits: Tensor = self.classifier(self.reduce(first, second, reduce))
        return logits


def _classifier(inputs: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def _check(input_shape: tuple[int, int, int]) -> None:
    check_sides(input_shape, HALVINGS)
    side = min(input_shape[1:])
    if side < SMALLEST_SIDE * 2**HALVINGS:
        raise InputError(f"images of side {side}: a few-shot network needs at least {SMALLEST_SIDE * 2**HALVINGS}")
