"""Pictures that do not fit in memory: decoded by worker processes, a batch ahead of the training."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import data

from nas_cli.data.base import Source
from nas_cli.data.pictures import decode
from nas_cli.errors import InputError


class Streamed(Source):
    """Picture files, decoded each time they are read.

    Args:
        paths: n picture files.
        labels: (n,) int64.
        channels, size: of the decoded images.
        mean, std: (channels,) in raw units 0..255.
        workers: processes that decode; 0 decodes in this one.
    """

    def __init__(
        self, paths: Sequence[str], labels: Tensor, channels: int, size: int, mean: Tensor, std: Tensor, workers: int
    ) -> None:
        self.mean, self.std = mean, std
        self._paths = list(paths)
        self._labels = labels
        self._channels = channels
        self._size = size
        self._workers = workers

    def __len__(self) -> int:
        return len(self._paths)

    def subset(self, indices: Sequence[int] | Tensor) -> Streamed:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        paths = [self._paths[index] for index in chosen.tolist()]
        return Streamed(paths, self._labels[chosen], self._channels, self._size, self.mean, self.std, self._workers)

    def batches(self, order: Sequence[Tensor], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        on_gpu = device.type == "cuda"
        stream = data.DataLoader(
            _Decoder(self._paths, self._channels, self._size),
            batch_sampler=[numbers.tolist() for numbers in order],
            num_workers=self._workers,
            collate_fn=_as_it_is,
            pin_memory=on_gpu,
            worker_init_fn=_leave_signals_to_the_parent,
            generator=torch.Generator(),  # else each pass would advance the global one
        )
        for numbers, decoded in zip(order, stream, strict=True):
            if isinstance(decoded, str):
                raise InputError(decoded)
            yield decoded.to(device, non_blocking=on_gpu), self._labels[numbers].to(device)


class _Decoder(data.Dataset[Tensor]):
    """Decodes the pictures of a batch inside a worker."""

    def __init__(self, paths: list[str], channels: int, size: int) -> None:
        self._paths = paths
        self._channels = channels
        self._size = size

    def __getitems__(self, numbers: list[int]) -> Tensor | str:
        """(batch, channels, size, size) uint8, or the message about the first file that cannot be read.

        An exception would reach the parent with the worker's traceback in its message; a text arrives as one line.
        """
        try:
            return torch.stack([decode(self._paths[number], self._channels, self._size) for number in numbers])
        except InputError as error:
            return str(error)


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_parent(worker: int) -> None:
    # Ctrl-C reaches every process of the terminal; the parent still needs the workers to finish its step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
