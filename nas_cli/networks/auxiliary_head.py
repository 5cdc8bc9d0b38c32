"""The auxiliary head of a stack of cells, and the networks that have one.

Reference: Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019, arXiv:1806.09055, app. A.1; first
in Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842, section 5.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


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


class WholeMapHead(nn.Sequential):
    """NASNet's: as `AuxiliaryHead`, but its second convolution is as large as the whole map that is left.

    Args:
        inputs: channels.
        sides: height and width of the feature map, 5 or more.
        classes: number of outputs.
    Shape:
        x: (batch, inputs, *sides)
        returns: (batch, classes)
    Reference: Zoph et al., Learning Transferable Architectures, CVPR 2018, arXiv:1707.07012, app. A.7, and its code.
    """

    MINIMUM_SIDE = 5

    def __init__(self, inputs: int, sides: tuple[int, int], classes: int) -> None:
        height, width = ((side - self.MINIMUM_SIDE) // 3 + 1 for side in sides)
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3),
            nn.Conv2d(inputs, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, (height, width), bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, classes),
        )


class AuxiliaryNetwork(nn.Module):
    """A classifier of features that may have a second classifier on some inner features.

    Attributes:
        classifier: of the last features.
        auxiliary_head: of the inner ones; None: there is none.
    """

    classifier: nn.Module
    auxiliary_head: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary_head = None

    @abstractmethod
    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last features and the inner ones that carry the auxiliary head."""

    def forward(self, x: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor | None]:
        """The logits, in both modes; the auxiliary head is run only where it is asked for."""
        # One entrance for both uses: a compiled module is compiled where it is called, not in its other methods.
        last, inner = self.features(x)
        logits: Tensor = self.classifier(last)
        if not auxiliary:
            return logits
        return logits, None if self.auxiliary_head is None else self.auxiliary_head(inner)
