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
from nas_cli.data.windows import DRAWS, LARGEST_SQUARE, Windows
from nas_cli.errors import InputError


class Streamed(Source):
    """Picture files, decoded each time they are read.

    Args:
        paths: n picture files.
        labels: (n,) int64.
        channels, size: of the decoded images.
        windows: what is seen of each picture. Only batches with a seed are read through random windows.
        mean, std: (channels,) in raw units 0..255.
        workers: processes that decode; 0 decodes in this one.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: Tensor,
        channels: int,
        size: int,
        mean: Tensor,
        std: Tensor,
        workers: int,
        windows: Windows = LARGEST_SQUARE,
    ) -> None:
        self.mean, self.std = mean, std
        self._paths = list(paths)
        self._labels = labels
        self._channels = channels
        self._size = size
        self._workers = workers
        self._windows = windows

    def __len__(self) -> int:
        return len(self._paths)

    def subset(self, indices: Sequence[int] | Tensor) -> Streamed:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        paths = [self._paths[index] for index in chosen.tolist()]
        shape = self._channels, self._size
        return Streamed(paths, self._labels[chosen], *shape, self.mean, self.std, self._workers, self._windows)

    def batches(
        self, order: Sequence[Tensor], device: torch.device, seeds: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        on_gpu = device.type == "cuda"
        chance: Sequence[int | None] = [None] * len(order) if seeds is None else seeds
        batches: Any = zip([numbers.tolist() for numbers in order], chance, strict=True)
        stream = data.DataLoader(
            _Decoder(self._paths, self._channels, self._size, self._windows),
            batch_sampler=list(batches),
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

    def __init__(self, paths: list[str], channels: int, size: int, windows: Windows) -> None:
        self._paths = paths
        self._channels = channels
        self._size = size
        self._windows = windows

    def __getitems__(self, batch: tuple[list[int], int | None]) -> Tensor | str:
        """(batch, channels, size, size) uint8, or the message about the first file that cannot be read.

        An exception would reach the parent with the worker's traceback in its message; a text arrives as one line.
        """
        numbers, seed = batch
        windows = [self._windows.choose(draws) for draws in _uniform(seed, len(numbers))]
        try:
            return torch.stack(
                [
                    decode(self._paths[number], self._channels, self._size, window)
                    for number, window in zip(numbers, windows, strict=True)
                ]
            )
        except InputError as error:
            return str(error)


def _uniform(seed: int | None, images: int) -> Sequence[list[float] | None]:
    """The numbers that decide the random windows of a batch, `DRAWS` for each image; none without a seed."""
    if seed is None:
        return [None] * images
    generator = torch.Generator().manual_seed(seed)
    draws: list[list[float]] = torch.rand(images, DRAWS, generator=generator, dtype=torch.float64).tolist()
    return draws


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_parent(worker: int) -> None:
    # Ctrl-C reaches every process of the terminal; the parent still needs the workers to finish its step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
