"""The device that a run works on."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar, cast

import torch
from torch import nn

from nas_cli.errors import InputError, require

M = TypeVar("M", bound=nn.Module)


class Hardware:
    """Device, precision and threads of a run.

    Args:
        device: ``auto`` (cuda, else mps, else cpu), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``bf16`` runs matrix products and convolutions in bfloat16, weights stay in float32.
        compile: whether networks are passed through `torch.compile`.
        threads: CPU threads of this process; None: torch's own choice.
        deterministic: refuse algorithms that are not reproducible on the device.

    Raises `InputError` for a device that is not there.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: Literal["fp32", "bf16"] = "fp32",
        compile: bool = False,
        threads: int | None = 1,
        deterministic: bool = False,
    ) -> None:
        require(threads is None or threads >= 1, f"threads must be at least 1, not {threads}")
        self.device = _device(device)
        self.precision = precision
        self.compile = compile
        self.threads = threads
        self.deterministic = deterministic

    def prepare(self) -> None:
        """Set this process up; called once, when a run starts."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.deterministic and self.device.type == "cuda":
            # Without it cuBLAS refuses to be deterministic; it is read when cuBLAS starts.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Only where it changes something: the call imports torch's compiler, which takes seconds.
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)

    def place(self, network: M) -> M:
        """A network on the device, in the memory layout that convolutions are fastest in, compiled if wished."""
        # channels_last is 1.2 to 2 times as fast on a CPU, and what tensor cores want.
        network = cast(M, network.to(device=self.device, memory_format=torch.channels_last))  # type: ignore[call-overload]
        if self.compile:
            network.compile()  # in place: parameter names stay as they are
        return network

    def autocast(self) -> AbstractContextManager[Any]:
        """The block's convolutions and matrix products in this precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    @property
    def description(self) -> str:
        """The device in words."""
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {self.precision}"
        threads = torch.get_num_threads()
        return f"{self.device.type}, {threads} thread{'s' * (threads > 1)}, {self.precision}"

    def peak_memory(self) -> int:
        """The most bytes so far: of tensors on a GPU, else resident in this process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak  # kibibytes on Linux


def _device(name: str) -> torch.device:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "mps" if available["mps"] else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device={name}: must be one of auto, cpu, cuda, cuda:N, mps") from None
    require(device.type in available, f"device={name}: must be one of auto, cpu, cuda, cuda:N, mps")
    require(available[device.type], f"device={name}: there is no such device on this machine")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    require((device.index or 0) < count, f"device={name}: there are only {count} of them on this machine")
    return device
