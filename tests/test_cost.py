"""Counting: parameters and multiply-adds by hand, no memory, no side effects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_cli.cost import Cost, count


@pytest.mark.parametrize(
    ("layer", "params", "macs"),
    [
        # out channels x in channels / groups x kernel area x output pixels
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), 216, 216 * 64),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), 216 + 6, 216 * 16),
        (nn.Conv2d(4, 4, 5, padding=4, dilation=2, groups=4, bias=False), 100, 100 * 64),
        (nn.Conv2d(4, 8, (1, 7), stride=(1, 2), padding=(0, 3), groups=2, bias=False), 112, 112 * 32),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 10)), 2570, 2560),
        (nn.BatchNorm2d(4), 8, 0),
        (nn.MaxPool2d(2), 0, 0),
    ],
)
def test_layers_by_hand(layer: nn.Module, params: int, macs: int) -> None:
    assert count(lambda: layer, (4, 8, 8)) == Cost(params, params, macs)


class WithHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3, bias=False)
        self.auxiliary_head = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
        self.training_calls: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.training_calls.append(self.training)
        return self.body(x)  # type: ignore[no-any-return]


def test_auxiliary_head_is_counted_apart_and_at_any_depth() -> None:
    assert count(WithHead, (4,)) == Cost(12, 37, 12)
    assert count(lambda: nn.Sequential(WithHead()), (4,)) == Cost(12, 37, 12)


def test_network_runs_in_evaluation_mode_once() -> None:
    network = WithHead()
    count(lambda: network, (4,))
    assert network.training_calls == [False]


def test_shared_weights_count_once_but_work_twice() -> None:
    layer = nn.Linear(4, 4, bias=False)
    assert count(lambda: nn.Sequential(layer, layer), (4,)) == Cost(16, 16, 32)


def test_counting_takes_no_memory() -> None:
    # 9e10 weights would be 360 GB, and one image 1.2 GB.
    cost = count(lambda: nn.Conv2d(100_000, 100_000, 3, padding=1, bias=False), (100_000, 55, 55))
    assert cost.params == 9 * 10**10
    assert cost.macs == 9 * 10**10 * 55 * 55


def test_module_that_chose_its_own_device_is_counted_and_left_whole() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, device="cpu"), nn.BatchNorm2d(4, device="cpu"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert count(lambda: network, (3, 8, 8)).macs == 4 * 3 * 9 * 36
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_global_generator_is_untouched() -> None:
    state = torch.get_rng_state()
    count(lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout()), (4,))
    assert torch.equal(torch.get_rng_state(), state)
