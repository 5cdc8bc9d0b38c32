"""Feature maps of an image network, by stage: what a detector or a segmenter is built on.

Any network of a space will do, also one of a user's own: a stage ends with the last layer before the side changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from nas_cli.errors import require


@dataclass(frozen=True)
class Stage:
    """A feature map that a network makes on its way.

    Args:
        layer: the layer that makes it, as `nn.Module.get_submodule` knows it.
        place: which of the layer's outputs it is, where there are several; else 0.
        channels: of the map.
        stride: side of the image by side of the map.
    """

    layer: str
    place: int
    channels: int
    stride: float


class FeatureMaps(nn.Module):
    """A network that gives the last feature map of each stage in the place of logits.

    The layers are the network's children, in its lists each entry. Which of them end a stage is found once, on an image
    of zeros. The classifier is still there, so that the weights of the trained network can be loaded, but what it
    makes is not used.

    Args:
        network: an image classifier.
        input_shape: (channels, height, width) of the image that the stages are found with.
        first_stride: stages of a smaller stride are left out, as their maps are large.
    Attributes:
        stages: from fine to coarse.
    Shape:
        x: (batch, channels, height, width)
        returns: by name (``0``, ``1``, …) maps of (batch, stage.channels, height / stage.stride, width / stage.stride)
    Raises:
        InputError: where no layer makes a map of this stride or more.
    """

    def __init__(self, network: nn.Module, input_shape: tuple[int, int, int], first_stride: float = 1) -> None:
        super().__init__()
        self.network = network
        found: dict[tuple[int, int], Stage] = {}
        for layer, place, made in self._dry_run(input_shape):
            side = made.shape[2], made.shape[3]
            found[side] = Stage(layer, place, made.shape[1], input_shape[1] / made.shape[2])  # the last of each
        wanted = [stage for stage in found.values() if stage.stride >= first_stride]
        require(
            len(wanted) > 0, f"no layer of a {type(network).__name__} makes maps of a stride of {first_stride} or more"
        )
        self.stages = tuple(sorted(wanted, key=lambda stage: stage.stride))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        wanted = {(stage.layer, stage.place): str(number) for number, stage in enumerate(self.stages)}
        maps = {(layer, place): made for layer, place, made in self._run(x, [stage.layer for stage in self.stages])}
        return OrderedDict((name, maps[which]) for which, name in wanted.items())

    @torch.no_grad()
    def _dry_run(self, input_shape: tuple[int, int, int]) -> list[tuple[str, int, Tensor]]:
        """The maps of all layers in evaluation mode, which leaves running statistics and generators as they are."""
        modes = {module: module.training for module in self.network.modules()}
        any_weight = next(self.network.parameters())
        try:
            self.network.eval()
            return self._run(any_weight.new_zeros(1, *input_shape), list(_layers(self.network)))
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _run(self, x: Tensor, layers: Sequence[str]) -> list[tuple[str, int, Tensor]]:
        """(layer, place among its outputs, map) of these layers, in the order in which they were made."""
        found: list[tuple[str, int, Tensor]] = []

        def keep(layer: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                for place, made in enumerate(output if isinstance(output, tuple) else (output,)):
                    if isinstance(made, Tensor) and made.dim() == 4:
                        found.append((layer, place, made))

            return hook

        handles = [
            self.network.get_submodule(layer).register_forward_hook(keep(layer)) for layer in dict.fromkeys(layers)
        ]
        try:
            self.network(x)
        finally:
            for handle in handles:
                handle.remove()
        return found


def _layers(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """The names of a network's layers; what averages a whole map away ends no stage."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _layers(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
            yield f"{prefix}{name}"


class Pyramid(nn.Sequential):
    """Feature maps brought to one width, each with what the coarser ones know: a backbone for torchvision's detectors.

    Args:
        maps: of a network.
        out_channels: of every map. Paper: 256.
    Attributes:
        out_channels: as above; the detectors read it.
    Shape:
        x: (batch, channels, height, width)
        returns: as `FeatureMaps`, all of `out_channels`
    Reference: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, arXiv:1612.03144, sec. 3.
    """

    def __init__(self, maps: FeatureMaps, out_channels: int = 256) -> None:
        widths = [stage.channels for stage in maps.stages]
        super().__init__(OrderedDict(maps=maps, pyramid=FeaturePyramidNetwork(widths, out_channels)))
        self.out_channels = out_channels
