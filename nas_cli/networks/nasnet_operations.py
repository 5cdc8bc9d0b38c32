"""NASNet's thirteen operations: modules (batch, inputs, h, w) -> (batch, outputs, ⌈h / s⌉, ⌈w / s⌉).

They differ from DARTS' of like names: they may change the width, a separable convolution does so in its first half,
and a pool is followed by a 1x1 convolution only where it has to.

Reference: Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, CVPR 2018,
arXiv:1707.07012, sec. 3.1 and app. A.4.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from nas_cli.networks.operations import ReLUConvBN, own_operation

IDENTITY = "identity"
Factory = Callable[[int, int, int], nn.Module]


class Subsample(nn.Module):
    """Every `stride`-th pixel of each row and column, from the first on."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride]


def pointwise(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """ReLU-1x1-BN, strided by slicing: see `FactorizedReduce`, whose convolutions have the same reason for it."""
    made = ReLUConvBN(inputs, outputs)
    return made if stride == 1 else nn.Sequential(Subsample(stride), made)


def projection(inputs: int, outputs: int) -> nn.Module:
    """1x1-BN without ReLU: another width for what is no input of an operation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def _identity(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 and inputs == outputs else pointwise(inputs, outputs, stride)


def _factorized(size: int) -> Factory:
    """1 x `size`, then `size` x 1, each with ReLU and BN; both strides together are the operation's."""

    def make(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, (1, size), (1, stride), (0, size // 2), bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, (size, 1), (stride, 1), (size // 2, 0), bias=False),
            nn.BatchNorm2d(outputs),
        )

    return make


def _dilated(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 3, stride, padding=2, dilation=2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _pool(kind: str, size: int) -> Factory:
    def make(inputs: int, outputs: int, stride: int) -> nn.Module:
        pool = (
            nn.MaxPool2d(size, stride, size // 2)
            if kind == "max"
            else nn.AvgPool2d(size, stride, size // 2, count_include_pad=False)
        )
        return pool if inputs == outputs else nn.Sequential(pool, projection(inputs, outputs))

    return make


def _separable(size: int) -> Factory:
    """Depthwise and pointwise without a normalisation between them, twice; the first has stride and new width."""

    def half(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            nn.ReLU(),
            nn.Conv2d(inputs, inputs, size, stride, size // 2, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]

    return lambda inputs, outputs, stride: nn.Sequential(*half(inputs, outputs, stride), *half(outputs, outputs, 1))


# name -> (inputs, outputs, stride) -> module, in the paper's order.
OPERATIONS: dict[str, Factory] = {
    IDENTITY: _identity,
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
    "dil_conv_3x3": _dilated,
    "avg_pool_3x3": _pool("avg", 3),
    "max_pool_3x3": _pool("max", 3),
    "max_pool_5x5": _pool("max", 5),
    "max_pool_7x7": _pool("max", 7),
    "conv_1x1": pointwise,
    "conv_3x3": lambda inputs, outputs, stride: ReLUConvBN(inputs, outputs, 3, stride),
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
}


def make_operation(name: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """The module of an operation, freshly initialised from torch's current generator.

    Args:
        name: a key of `OPERATIONS`, or the dotted path of a user's own class, called with the other three arguments.
        inputs, outputs: channels.
        stride: 1 or 2.
    Raises:
        InputError: for an unknown name, or one that makes no module.
    """
    if name in OPERATIONS:
        return OPERATIONS[name](inputs, outputs, stride)
    return own_operation(name, OPERATIONS, "(inputs, outputs, stride)")(inputs, outputs, stride)
