"""The networks of NAS-Bench-201: three stages of one cell, residual blocks between them.

Reference: Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search, ICLR 2020,
arXiv:2001.00326, sec. 2.1 and fig. 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.operations import ReLUConvBN, check_sides, make_operation

NODES = 4
# (source, target) in the order of the canonical string; node 0 is the input and node 3 the output.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
STAGES = 3


def check_size(channels: int, cells: int) -> None:
    """Raise `InputError` unless there is a channel and the cells make three stages of equal length."""
    if channels < 1:
        raise InputError(f"channels={channels}: a network of nasbench201 has at least 1")
    if cells < STAGES or cells % STAGES:
        raise InputError(f"cells={cells}: a network of nasbench201 has a positive multiple of {STAGES}")


class NasBench201Cell(nn.Module):
    """Four nodes, each the sum over all earlier ones of an operation of them; affine normalisation, no strides.

    Args:
        operations: one name per edge, in the order of `EDGES`.
        channels: of every node.
    Shape:
        x and the return: (batch, channels, height, width)
    """

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(make_operation(name, channels, 1, affine=True) for name in operations)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor] = [x]
        for target in range(1, NODES):
            into = [(edge, source) for edge, (source, end) in zip(self.edges, EDGES, strict=True) if end == target]
            total: Tensor = into[0][0](nodes[into[0][1]])
            for edge, source in into[1:]:
                total = total + edge(nodes[source])
            nodes.append(total)
        return nodes[-1]


class ResidualBlock(nn.Module):
    """Halve the side: two ReLU-convolution-normalisation layers beside an average pool with a 1x1 convolution.

    Shape:
        x: (batch, inputs, height, width), both sides even
        returns: (batch, outputs, height / 2, width / 2)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReLUConvBN(inputs, outputs, 3, stride=2), ReLUConvBN(outputs, outputs, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


def skeleton(
    make_cell: Callable[[int], nn.Module], input_shape: tuple[int, int, int], classes: int, channels: int, cells: int
) -> list[nn.Module]:
    """All layers in order: stem, three stages of cells with a residual block before the second and third, classifier.

    Args:
        make_cell: a cell of that many channels.
        input_shape: (channels, height, width) of an image, sides multiples of 4.
        classes: number of outputs.
        channels: C of the first stage, doubled at each residual block. Paper: 16.
        cells: of all stages together, a multiple of 3. Paper: 15.
    Raises:
        InputError: for sides or a number of cells that do not fit, or fewer than one channel or class.
    """
    check_size(channels, cells)
    if classes < 1:
        raise InputError(f"a network needs at least 1 class, not {classes}")
    check_sides(input_shape, halvings=STAGES - 1)
    layers: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
    ]
    for stage in range(STAGES):
        if stage:
            layers.append(ResidualBlock(channels, 2 * channels))
            channels *= 2
        layers += [make_cell(channels) for _ in range(cells // STAGES)]
    layers.append(
        nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, classes),
        )
    )
    return layers


class NasBench201Network(nn.Sequential):
    """The network of one cell, as trained for the table; arguments of `skeleton`.

    Args:
        operations: six names, in the order of `EDGES`.
    Shape:
        x: (batch, channels, height, width)
        returns: (batch, classes)
    """

    def __init__(
        self,
        operations: Sequence[str],
        input_shape: tuple[int, int, int],
        classes: int,
        channels: int = 16,
        cells: int = 15,
    ) -> None:
        super().__init__(
            *skeleton(lambda width: NasBench201Cell(operations, width), input_shape, classes, channels, cells)
        )
