"""Device, precision and threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from nas_cli.errors import InputError
from nas_cli.hardware import Hardware


@pytest.fixture
def _process() -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")],
)
def test_auto_takes_the_best_there_is(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert Hardware("auto").device.type == device


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "must be one of auto, cpu, cuda"),
        ("", "must be one of"),
        ("xpu", "must be one of"),
        ("meta", "must be one of"),
        ("mps", "there is no such device"),
        ("cuda:2", "there are only 2 of them"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, device: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=message) as caught:
        Hardware(device)
    assert str(caught.value).startswith(f"device={device}: ")
    assert "\n" not in str(caught.value)


def test_no_cuda_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device=cuda: there is no such device"):
        Hardware("cuda")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_range(threads: int) -> None:
    with pytest.raises(InputError, match="threads must be at least 1"):
        Hardware("cpu", threads=threads)


@pytest.mark.usefixtures("_process")
def test_prepare_sets_this_process_up() -> None:
    Hardware("cpu", threads=1, deterministic=True).prepare()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    Hardware("cpu", threads=2, deterministic=False).prepare()
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
    Hardware("cpu", threads=None).prepare()
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_process")
@pytest.mark.parametrize(("before", "after"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_deterministic_on_cuda_gives_cublas_its_workspace(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, before or "")  # so that it is put back afterwards
    if before is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    Hardware("cuda", deterministic=False).prepare()
    Hardware("cpu", deterministic=True).prepare()
    assert os.environ.get(name) == before
    Hardware("cuda", deterministic=True).prepare()
    assert os.environ[name] == after


def test_making_one_changes_nothing() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    Hardware("cpu", threads=1, deterministic=True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_place_keeps_the_numbers_and_uses_channels_last() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weight = network[0].weight.detach().clone()
    placed = Hardware("cpu").place(network)
    assert torch.equal(placed[0].weight, weight)
    assert placed[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_compile_keeps_the_parameter_names(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: called.append(self))
    network = nn.Linear(2, 2)
    assert list(Hardware("cpu", compile=True).place(network).state_dict()) == ["weight", "bias"]
    assert called == [network]
    Hardware("cpu").place(network)
    assert len(called) == 1


def test_precision() -> None:
    linear, x = nn.Linear(3, 2), torch.ones(1, 3)
    with Hardware("cpu", precision="bf16").autocast():
        assert linear(x).dtype == torch.bfloat16
    with Hardware("cpu").autocast():
        assert linear(x).dtype == torch.float32
    assert linear.weight.dtype == torch.float32


def test_description_names_device_and_precision() -> None:
    words = Hardware("cpu", precision="bf16").description
    assert words.startswith("cpu")
    assert words.endswith("bf16")
