"""CPU seconds and memory of one search step, ours beside a textbook's: python scripts/bench/supernet.py

A step is a step of the architecture and one of the weights. Both sides compute the same function: this is checked
first, in float64, with the weights of one copied into the other. Then the sides take turns in one process, after a
warm-up; the growth of the resident set is measured in a process of its own for each side. Trust the ratios: seconds
depend on what else the machine does. Memory is read from /proc, so it needs Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import textbook
import torch
from torch import Tensor, nn

from nas_cli.data.augmentation import Augmentation
from nas_cli.data.base import Dataset, Images
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.hardware import Hardware
from nas_cli.networks.operations import FactorizedReduce
from nas_cli.networks.supernet import MixedCell, Supernet
from nas_cli.spaces.darts import DartsSpace
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder, SecondOrder
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.relaxation import Relaxation

CLASSES = 10
CONVOLUTIONS = [column for column, name in enumerate(textbook.OPERATIONS) if "conv" in name]
SKIP = textbook.OPERATIONS.index("skip_connect")


@dataclass(frozen=True)
class Size:
    """A supernet and its batches; `shape` is (channels, height, width) of an image."""

    channels: int
    cells: int
    batch: int
    shape: tuple[int, int, int]

    def __str__(self) -> str:
        return f"C={self.channels} L={self.cells} B={self.batch} {'x'.join(map(str, self.shape))}"


SMALL = Size(8, 4, 32, (1, 8, 8))
LARGE = Size(16, 5, 32, (3, 32, 32))


class MadeUp(Dataset):
    """Random images with random labels, in memory."""

    classes = CLASSES

    def __init__(self, size: Size) -> None:
        super().__init__("made_up", Augmentation())
        self._size = size

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self._size.shape

    def train(self) -> Images:
        generator = torch.Generator().manual_seed(0)
        count, shape = 4 * self._size.batch, self._size.shape
        pixels = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, CLASSES, (count,), generator=generator)
        return Images(pixels, labels, [128.0] * shape[0], [64.0] * shape[0])

    test = train


def our_side(size: Size, device: str = "cpu") -> Relaxation:
    """Supernet and architecture parameters, as a search makes them, at the paper's learning rates."""
    space = DartsSpace("darts", textbook.OPERATIONS, 4, size.channels, size.cells)
    shared = SharedImageWeights(space, MadeUp(size), Hardware(device), 0, size.batch, learning_rate=0.025)
    mixing = Softmax()
    shared.begin(mixing.fan_out, epochs=1)
    return Relaxation(shared, mixing, space.choices, (), Adam(learning_rate=3e-4), gradient_clip=None)


def our_step(size: Size, second_order: bool, device: str) -> Callable[[], None]:
    relaxation = our_side(size, device)
    gradient = SecondOrder() if second_order else FirstOrder()

    def step() -> None:
        gradient.step(relaxation)

    return step


def textbook_step(size: Size, second_order: bool, device: str) -> Callable[[], None]:
    network = textbook.Network(size.shape[0], CLASSES, size.channels, size.cells).to(device)
    search = textbook.Search(network, second_order)
    for alpha in search.alphas.values():
        alpha.data = alpha.data.to(device)
    train, held_out = (random_batch(size, seed, torch.float32, device) for seed in (1, 2))
    return lambda: search.step(train, held_out)


SIDES = {"ours": our_step, "textbook": textbook_step}


def random_batch(size: Size, seed: int, dtype: torch.dtype, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Images (batch, channels, height, width) and labels (batch,)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size.batch, *size.shape, generator=generator, dtype=dtype)
    return images.to(device), torch.randint(0, CLASSES, (size.batch,), generator=generator).to(device)


def matched(ours: Supernet, theirs: textbook.Network) -> Iterator[tuple[nn.Parameter, slice, nn.Parameter]]:
    """Every parameter of the textbook's network, with ours and the part of our first dimension that is its twin."""
    whole = slice(None)
    for mine, other in ((ours.stem, theirs.stem), (ours.classifier[2], theirs.classifier)):
        for pair in zip(mine.parameters(), other.parameters(), strict=True):
            yield pair[0], whole, pair[1]
    for cell, their_cell in zip(ours.cells, theirs.cells, strict=True):
        assert isinstance(cell, MixedCell)
        for mine, other in zip(cell.preprocess, (their_cell.first, their_cell.second), strict=True):
            for pair in zip(mine.parameters(), other.parameters(), strict=True):
                yield pair[0], whole, pair[1]
        choices = next(iter(ours.choices.values()))
        for source, fan_out in enumerate(cell.fan_outs):
            edges = [their_cell.edges[row] for row in choices.rows_from(source)]
            for place, edge in enumerate(edges):
                for column, merged in zip(CONVOLUTIONS, fan_out.merged, strict=True):
                    for mine, other in zip(merged.parameters(), edge.operations[column].parameters(), strict=True):
                        yield mine, slice(place * len(other), (place + 1) * len(other)), other
                if len(fan_out.others):
                    reduce = cast(FactorizedReduce, fan_out.others[place].body[0])
                    for pair in zip(reduce.parameters(), edge.operations[SKIP].parameters(), strict=True):
                        yield pair[0], whole, pair[1]


class Twins:
    """Our search and the textbook's in float64, with the same weights and architecture parameters."""

    def __init__(self, size: Size, second_order: bool = True) -> None:
        self.relaxation = our_side(size)
        self.shared = self.relaxation.shared
        self.shared.network.double()
        theirs = textbook.Network(size.shape[0], CLASSES, size.channels, size.cells).double()
        self.theirs = textbook.Search(theirs, second_order)
        ours = self.shared.network
        assert isinstance(ours, Supernet)
        self.pairs = list(matched(ours, theirs))
        with torch.no_grad():
            for mine, part, other in self.pairs:
                mine[part] = other
            for kind, alpha in self.theirs.alphas.items():
                alpha *= 500  # far from uniform, so that no operation can hide
                self.relaxation.parameters[kind].data = alpha.detach().clone()
        self.train, self.held_out = random_batch(size, 1, torch.float64), random_batch(size, 2, torch.float64)

    def losses(self) -> tuple[Tensor, Tensor]:
        """Both sides' loss on the training batch, with a graph."""
        return self.shared.loss(self.train, self.relaxation.weights()), self.theirs.loss(self.train)

    def gradient_gap(self) -> float:
        """Largest relative difference of the gradients of the training loss, in weights and architecture."""
        mine, other = self.losses()
        alphas = self.relaxation.parameters.values()
        names = [*dict.fromkeys(weight for weight, _, _ in self.pairs), *alphas]
        found = dict(zip(names, torch.autograd.grad(mine, names), strict=True))
        wanted = torch.autograd.grad(other, [w for _, _, w in self.pairs] + list(self.theirs.alphas.values()))
        parts = [found[weight][part] for weight, part, _ in self.pairs]
        return gap(parts + [found[alpha] for alpha in alphas], wanted)

    def weight_step_gap(self) -> float:
        """Take one step of the weights on both sides; the largest relative difference of the weights after it."""
        self.shared.weight_step(self.train, self.relaxation.weights())
        self.theirs.sgd.zero_grad()
        self.theirs.loss(self.train).backward()
        nn.utils.clip_grad_norm_(self.theirs.network.parameters(), 5.0)
        self.theirs.sgd.step()
        return gap([mine[part] for mine, part, _ in self.pairs], [other for _, _, other in self.pairs])

    def architecture_gradient(self, method: FirstOrder | SecondOrder) -> list[Tensor]:
        """Our gradient in the architecture parameters; nothing moves."""
        weights = self.relaxation.weights()
        leaves = {kind: rows.detach().requires_grad_() for kind, rows in weights.items()}
        return self.relaxation.gradient(weights, method.slopes(self.shared, leaves, self.train, self.held_out))

    def architecture_gap(self) -> float:
        """Relative difference of the second-order gradients."""
        return gap(
            self.architecture_gradient(SecondOrder()), self.theirs.architecture_gradient(self.train, self.held_out)
        )


def gap(found: list[Tensor], wanted: tuple[Tensor, ...] | list[Tensor]) -> float:
    """Largest difference over the tensors, each relative to the largest entry of all of `wanted`."""
    scale = max(float(tensor.detach().abs().max()) for tensor in wanted)
    return max(float((a - b).detach().abs().max()) for a, b in zip(found, wanted, strict=True)) / scale


def check(size: Size) -> str:
    """One line that says how far the sides agree; exits where they do not."""
    twins = Twins(size)
    mine, other = twins.losses()
    first = {
        "loss": float((mine - other).detach().abs()),
        "gradients": twins.gradient_gap(),
        "weights after a step": twins.weight_step_gap(),
    }
    second = twins.architecture_gap()
    line = ", ".join(f"{name} {value:.1e}" for name, value in first.items()) + f", second order {second:.1e}"
    if max(first.values()) > 1e-10 or second > 1e-6:
        sys.exit(f"the two sides differ ({size}, float64): {line}")
    return f"{size}, float64, largest differences: {line}"


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(size: Size, second_order: bool, device: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of every step after the first, by side: CPU seconds, on a GPU elapsed ones."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    steps = {side: make(size, second_order, device) for side, make in SIDES.items()}
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    for step in steps.values():
        step()
    for _ in range(repeats):
        for side, step in steps.items():
            synchronise(device)
            began = clock()
            step()
            synchronise(device)
            found[side].append(clock() - began)
    return found


def growth(side: str, size: Size, second_order: bool, device: str) -> float:
    """MB by which two steps raise the peak memory of a process that has made this side. To be called in a fresh one."""
    torch.set_num_threads(1)
    step = SIDES[side](size, second_order, device)
    before = peak(device)
    for _ in range(2):
        step()
    synchronise(device)
    return peak(device) - before


def peak(device: str) -> float:
    """Peak memory so far in MB: of the process, or of its tensors on a GPU."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage: a new process begins there with the peak of the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / 1e6


def memory(size: Size, second_order: bool, device: str) -> dict[str, float]:
    found = {}
    for side in SIDES:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            found[side] = fresh.submit(growth, side, size, second_order, device).result()
    return found


def commit() -> str:
    """The commit that was measured, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="timed steps of each side (at most 3 at the large size)")
    parser.add_argument("--quick", action="store_true", help="the small size only")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    hardware = Hardware(options.device)
    print(f"device: {hardware.description}; torch {torch.__version__}; commit {commit()}")
    print(check(Size(8, 4, 8, (1, 8, 8))))
    print(check(Size(4, 3, 40, (3, 32, 32))))  # large enough for the edges not to be merged
    print(f"{'':24} {'order':6} {'ours':>16} {'textbook':>16} {'ratio':>6} {'MB ours':>8} {'textbook':>8} {'ratio':>6}")
    for size in [SMALL] if options.quick else [SMALL, LARGE]:
        repeats = options.repeats if size == SMALL else min(options.repeats, 3)
        for second_order in (False, True):
            times = seconds(size, second_order, options.device, repeats)
            megabytes = memory(size, second_order, options.device)
            cells = [f"{statistics.median(t):.3f} ({min(t):.3f}-{max(t):.3f})" for t in times.values()]
            ratio = statistics.median(a / b for a, b in zip(*times.values(), strict=True))
            row = f"{size!s:24} {'second' if second_order else 'first':6} {cells[0]:>16} {cells[1]:>16} {ratio:6.2f}"
            ours, theirs = megabytes.values()
            print(f"{row} {ours:8.0f} {theirs:8.0f} {ours / theirs:6.2f}", flush=True)
    print("seconds of a step: median (range) of its repeats; ratio: median of ours / textbook, turn by turn")


if __name__ == "__main__":
    main()
