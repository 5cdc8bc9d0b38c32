"""The operations that cells are made of, each a module (batch, channels, h, w) -> (batch, channels, h / s, w / s).

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, sec. 3.1;
`noise` from Zela et al., Understanding and Robustifying Differentiable Architecture Search, ICLR 2020,
arXiv:1909.09656, sec. 3 (space S4); `nor_conv_*` from Dong and Yang, NAS-Bench-201, ICLR 2020, arXiv:2001.00326.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.build import resolve
from nas_cli.errors import InputError, nearest


class ReLUConvBN(nn.Sequential):
    """ReLU, a square convolution that keeps the side at stride 1, batch normalisation.

    Args:
        inputs, outputs: channels.
        kernel: odd side of the kernel.
        stride: of the convolution.
        affine: whether the normalisation learns scale and shift (DARTS: off in search, on in evaluation).
        bias: of the convolution; NAS-Bench-201's supernet alone has one.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, affine: bool = True, bias: bool = False
    ) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias),
            nn.BatchNorm2d(outputs, affine=affine),
        )


class FactorizedReduce(nn.Module):
    """Halve the side without losing a pixel: two strided 1x1 convolutions, the second one pixel off on both axes.

    Args:
        inputs, outputs: channels; `outputs` must be even, as each convolution makes half of them.
        affine: whether the normalisation learns scale and shift.
        relu: whether a ReLU stands before them.
    Shape:
        x: (batch, inputs, height, width); an odd side is made even by zeros at its end
        returns: (batch, outputs, ⌈height / 2⌉, ⌈width / 2⌉)
    Raises:
        InputError: for odd `outputs`.
    """

    def __init__(self, inputs: int, outputs: int, affine: bool = True, relu: bool = True) -> None:
        super().__init__()
        if outputs % 2:
            raise InputError(f"a factorized reduction makes an even number of channels, not {outputs}")
        self.relu = relu
        # Strided by slicing: the backward pass of a 1x1 convolution of stride 2 writes past its memory on a CPU in the
        # channels_last layout where there are fewer than 8 input channels (torch 2.14).
        self.first = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.second = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))
        if self.relu:
            x = torch.relu(x)
        normed: Tensor = self.norm(torch.cat([self.first(x[:, :, ::2, ::2]), self.second(x[:, :, 1::2, 1::2])], dim=1))
        return normed


class Zero(nn.Module):
    """The operation `none`: zeros of the strided shape."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # A product, not fresh zeros, so that a sum of nothing but this stays differentiable.
        return x[:, :, :: self.stride, :: self.stride] * 0


class Noise(nn.Module):
    """Standard normal noise of the strided shape, fresh at each call in both modes; the input gets no gradient.

    Draws from torch's current generator.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride], requires_grad=False)


def _depthwise(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def _separable(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    """Depthwise and pointwise convolution, twice; only the first has the stride."""
    return lambda channels, stride, affine: nn.Sequential(
        *_depthwise(channels, kernel, stride, 1, affine), *_depthwise(channels, kernel, 1, 1, affine)
    )


def _dilated(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    return lambda channels, stride, affine: nn.Sequential(*_depthwise(channels, kernel, stride, 2, affine))


def _normal(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    # In NAS-Bench-201 a convolution has a bias exactly where its normalisation has none.
    return lambda channels, stride, affine: ReLUConvBN(channels, channels, kernel, stride, affine, bias=not affine)


def _conv_7x1_1x7(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def _skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


POOLS = ("max_pool_3x3", "avg_pool_3x3")
# name -> (channels, stride, affine) -> module. Pools come without the normalisation that a search puts behind them.
OPERATIONS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "max_pool_3x3": lambda channels, stride, affine: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride, affine: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
    "skip_connect": _skip_connect,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": _conv_7x1_1x7,
    "nor_conv_1x1": _normal(1),
    "nor_conv_3x3": _normal(3),
    "noise": lambda channels, stride, affine: Noise(stride),
}


def make_operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """The module of an operation, freshly initialised from torch's current generator.

    Args:
        name: a key of `OPERATIONS`, or the dotted path of a user's own class, called with the other three arguments.
        channels: in and out.
        stride: 1 or 2.
        affine: whether its normalisation learns scale and shift.
    Raises:
        InputError: for an unknown name, or one that makes no module.
    """
    if name in OPERATIONS:
        return OPERATIONS[name](channels, stride, affine)
    return own_operation(name, OPERATIONS, "(channels, stride, affine)")(channels, stride, affine)


def own_operation(name: str, known: Collection[str], arguments: str) -> type[nn.Module]:
    """The class of a user's own operation.

    Args:
        name: its dotted path.
        known: the names of ours, for the message.
        arguments: what it is called with, for the message.
    Raises:
        InputError: for a name without a dot, or one that makes no module.
    """
    if "." not in name:
        raise InputError(f"operation {name!r} is not one of {', '.join(known)}{nearest(name, known)}")
    operation = resolve(name)
    # Names also come from files, so nothing but a module is ever called.
    if not (inspect.isclass(operation) and issubclass(operation, nn.Module)):
        raise InputError(f"operation {name!r} must be a torch.nn.Module made from {arguments}")
    return operation


def search_operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation as DARTS' search has it: no learnt scale, and pools normalised; raises as `make_operation`."""
    operation = make_operation(name, channels, stride, affine=False)
    if name in POOLS:
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation


def check_sides(input_shape: tuple[int, int, int], halvings: int) -> None:
    """Raise `InputError` unless both sides of (channels, height, width) can be halved this often.

    A factorized reduction of an odd side is not defined, and neither is a sum of a convolved and a pooled one.
    """
    factor = 2**halvings
    _, height, width = input_shape
    if min(height, width) < 1 or height % factor or width % factor:
        raise InputError(
            f"images of {height}x{width} cannot be halved {halvings}x: sides must be multiples of {factor}"
        )
