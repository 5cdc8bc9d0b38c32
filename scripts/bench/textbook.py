"""The DARTS search network as a textbook writes it: a module for each operation, a Python loop over the edges.

It is what `nas_cli.networks.supernet` is measured and checked against, and is written from the paper alone: Liu,
Simonyan, Yang, DARTS, ICLR 2019, arXiv:1806.09055. Nothing here is shared with the package.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def norm(channels: int, affine: bool = False) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=affine)


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class Reduce(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.right = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(x)
        return self.norm(torch.cat([self.left(x), self.right(x[:, :, 1:, 1:])], 1))


def half(channels: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        norm(channels),
    ]


def operation(name: str, channels: int, stride: int) -> nn.Module:
    kind, _, kernel = name.rpartition("_")
    side = int(kernel[0]) if kernel[0].isdigit() else 0
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(channels, channels)
    if kind == "max_pool":
        return nn.Sequential(nn.MaxPool2d(side, stride, 1), norm(channels))
    if kind == "avg_pool":
        return nn.Sequential(nn.AvgPool2d(side, stride, 1, count_include_pad=False), norm(channels))
    if kind == "sep_conv":
        return nn.Sequential(*half(channels, side, stride, 1), *half(channels, side, 1, 1))
    return nn.Sequential(*half(channels, side, stride, 2))


class MixedEdge(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operation(name, channels, stride) for name in OPERATIONS)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(w * op(x) for w, op in zip(weights, self.operations, strict=True))


class Cell(nn.Module):
    def __init__(self, before: int, last: int, channels: int, reduce: bool, reduced_before: bool) -> None:
        super().__init__()
        point = [nn.ReLU(), nn.Conv2d(before, channels, 1, bias=False), norm(channels)]
        self.first = Reduce(before, channels) if reduced_before else nn.Sequential(*point)
        self.second = nn.Sequential(nn.ReLU(), nn.Conv2d(last, channels, 1, bias=False), norm(channels))
        self.edges = nn.ModuleList(
            MixedEdge(channels, 2 if reduce and source < 2 else 1) for node in range(2, 6) for source in range(node)
        )

    def forward(self, a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
        states = [self.first(a), self.second(b)]
        row = 0
        for _ in range(4):
            states.append(sum(self.edges[row + i](x, weights[row + i]) for i, x in enumerate(states)))
            row += len(states) - 1
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, inputs: int, classes: int, channels: int, cells: int) -> None:
        super().__init__()
        width = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1, bias=False), norm(width, affine=True))
        before = last = width
        self.cells = nn.ModuleList()
        self.reduces = [index in (cells // 3, 2 * cells // 3) for index in range(cells)]
        reduced_before = False
        for reduce in self.reduces:
            channels = 2 * channels if reduce else channels
            self.cells.append(Cell(before, last, channels, reduce, reduced_before))
            before, last, reduced_before = last, 4 * channels, reduce
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
        a = b = self.stem(x)
        for cell, reduce in zip(self.cells, self.reduces, strict=True):
            a, b = b, cell(a, b, weights["reduce" if reduce else "normal"])
        return self.classifier(F.adaptive_avg_pool2d(b, 1).flatten(1))


Batch = tuple[Tensor, Tensor]


class Search:
    """Both levels of the search, each step as the paper writes it."""

    def __init__(self, network: Network, second_order: bool) -> None:
        self.network = network
        self.second_order = second_order
        example = next(network.parameters())
        self.alphas = {
            kind: (1e-3 * torch.randn(14, 8, dtype=example.dtype)).requires_grad_() for kind in ("normal", "reduce")
        }
        self.adam = torch.optim.Adam(self.alphas.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)
        self.sgd = torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4)

    def loss(self, batch: Batch) -> Tensor:
        weights = {kind: alpha.softmax(-1) for kind, alpha in self.alphas.items()}
        return F.cross_entropy(self.network(batch[0], weights), batch[1])

    def architecture_gradient(self, train: Batch, held_out: Batch) -> list[Tensor]:
        alphas, weights = list(self.alphas.values()), list(self.network.parameters())
        if not self.second_order:
            self.adam.zero_grad()
            self.loss(held_out).backward()
            return [alpha.grad for alpha in alphas]
        rate = self.sgd.param_groups[0]["lr"]
        kept = [w.detach().clone() for w in weights]
        statistics = [b.clone() for b in self.network.buffers()]
        gradient = torch.autograd.grad(self.loss(train), weights)
        with torch.no_grad():
            for w, g in zip(weights, gradient, strict=True):
                buffer = self.sgd.state.get(w, {}).get("momentum_buffer", torch.zeros_like(w))
                w -= rate * (0.9 * buffer + g + 3e-4 * w)
        both = torch.autograd.grad(self.loss(held_out), alphas + weights)
        direct, direction = both[: len(alphas)], both[len(alphas) :]
        step = 0.01 / torch.cat([d.flatten() for d in direction]).norm()
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                for w, old, d in zip(weights, kept, direction, strict=True):
                    w.copy_(old + sign * step * d)
            sides.append(torch.autograd.grad(self.loss(train), alphas))
        with torch.no_grad():
            for w, old in zip(weights, kept, strict=True):
                w.copy_(old)
            for buffer, old in zip(self.network.buffers(), statistics, strict=True):
                buffer.copy_(old)
        return [g - rate * (p - m) / (2 * step) for g, p, m in zip(direct, *sides, strict=True)]

    def step(self, train: Batch, held_out: Batch) -> None:
        for alpha, gradient in zip(self.alphas.values(), self.architecture_gradient(train, held_out), strict=True):
            alpha.grad = gradient
        self.adam.step()
        self.sgd.zero_grad()
        self.loss(train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.sgd.step()
