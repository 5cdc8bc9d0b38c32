"""What a network costs: its parameters, and its multiply-adds for one image (or one word)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

AUXILIARY = "auxiliary_head"


@dataclass(frozen=True)
class Cost:
    """Counts of one network.

    Args:
        params: numbers that are learned, without those of submodules named ``auxiliary_head``.
        params_with_auxiliary: all of them.
        macs: multiply-adds of convolutions and linear layers (and of any other matrix product) for one image in
            evaluation mode. Published figures differ: some add normalisation or count other layers.
    """

    params: int
    params_with_auxiliary: int
    macs: int


def count(build: Callable[[], nn.Module], input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Cost:
    """Count a network without memory for its weights and without data, on torch's meta device.

    Args:
        build: makes a fresh network; called once, under the meta device, and its result is left in evaluation mode.
        input_shape: of one input without the batch, e.g. (channels, height, width).
        dtype: of the input; whole numbers for words.
    """
    with torch.device("meta"):
        network = build().eval()
        image = torch.empty(1, *input_shape, dtype=dtype)
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    auxiliary = sum(size for name, size in sizes.items() if AUXILIARY in name.split("."))
    # A module that placed its weights on a device of its own is counted on the meta device all the same.
    state = {name: tensor.to("meta") for name, tensor in chain(network.named_parameters(), network.named_buffers())}
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        functional_call(network, state, (image,))
    total = sum(sizes.values())
    # The counter takes a multiplication and an addition as two operations.
    return Cost(total - auxiliary, total, counter.get_total_flops() // 2)
