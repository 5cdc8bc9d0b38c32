"""The auxiliary head of a stack of cells.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, app. A.1; first
in Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842, section 5.
"""

from __future__ import annotations

from torch import nn


class AuxiliaryHead(nn.Sequential):
    """A second classifier on an inner layer; its loss, with weight 0.4, helps to train the lower cells.

    Args:
        inputs: channels.
        side: of the feature map, 7 or more; the pool strides by 3, at 7 by 2, so that 7, 8, 9 and 10 give 2x2.
        classes: number of outputs.
        second_norm: whether its second convolution is normalised. On CIFAR always; on ImageNet in P-DARTS, but neither
            in DARTS nor in PC-DARTS.
    Shape:
        x: (batch, inputs, side, side)
        returns: (batch, classes)
    Differs from the paper: what a map larger than 10x10 leaves after the 2x2 convolution is averaged.
    """

    MINIMUM_SIDE = 7

    def __init__(self, inputs: int, side: int, classes: int, second_norm: bool = True) -> None:
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=2 if side == self.MINIMUM_SIDE else 3),
            nn.Conv2d(inputs, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([nn.BatchNorm2d(768)] if second_norm else []),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(768, classes),
        )
