"""Cells and chains as OTMANN sees networks: layers with masses, and how unlike two layers are.

Reference: Kandasamy, Neiswanger, Schneider, Póczos and Xing, Neural Architecture Search with Bayesian Optimisation and
Optimal Transport (NASBOT), NeurIPS 2018, arXiv:1802.07191, sec. 3 and appendix A.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas_cli.spaces.graphs import LabelledGraph

_CONVOLUTION = re.compile(r"(.*conv|res(?:idual)?)_?(\d+)(?:x\d+)?")
_POOL = re.compile(r"(max|avg)_pool.*")
#: Fully connected layers, by the family of their non-linearity.
_UNITS = {
    **dict.fromkeys(("relu", "crelu", "leaky_relu", "elu", "softplus"), "rectifier"),
    **dict.fromkeys(("logistic", "sigmoid", "tanh"), "sigmoidal"),
    **dict.fromkeys(("fc", "linear", "identity"), "linear"),
}
#: Whose edges a path length counts: all layers', or those of one group.
GROUPS = (None, "conv", "pool", "fc")
SMALLEST_END = 100.0  # mass of input and output, where a tenth of the rest is less


@dataclass(frozen=True, order=True)
class Layer:
    """What one node is.

    Args:
        group: ``conv``, ``pool``, ``fc`` or ``decision``; empty for inputs, outputs and what has no mass of its own.
        family: what layers of one group are told apart by: max from average pools, rectifiers from sigmoidals.
        name: of the operation; layers of the same name, part and size are alike.
        size: side of a convolution's kernel, else 0.
        part: the cell that it is in, where there are several.
    """

    group: str
    family: str
    name: str
    size: int
    part: str

    @classmethod
    def of(cls, label: str) -> Layer:
        """The layer that a label of a `LabelledGraph` names."""
        part, _, name = label.rpartition(": ")
        if match := _CONVOLUTION.fullmatch(name):
            return cls("conv", match[1], name, int(match[2]), part)
        if match := _POOL.fullmatch(name):
            return cls("pool", match[1], name, 0, part)
        if name in _UNITS:
            return cls("fc", _UNITS[name], name, 0, part)
        return cls("decision" if name == "softmax" else "", name, name, 0, part)


def mismatch(one: Layer, other: Layer) -> float:
    """Cost of moving a unit of mass between two layers; infinite where they cannot stand for each other.

    Differs from the paper: separable, dilated and other families of convolutions differ like its plain and residual
    ones; layers of different cells are never alike.
    """
    if one.part != other.part or one.group != other.group:
        return math.inf
    if one.group == "conv":
        sides = math.sqrt(2) / 10 * math.sqrt(abs(one.size - other.size))
        return sides if one.family == other.family else 0.9 * sides + 0.1
    if one.name == other.name:
        return 0.0
    if one.group == "pool":
        return 0.0 if one.family == other.family else 0.5
    if one.group == "fc":
        return 0.1 if one.family == other.family else 0.25
    return math.inf


@dataclass(frozen=True, order=True)
class LayerGraph:
    """A network as layers, in a topological order, with the mass of each."""

    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    masses: tuple[float, ...]

    @classmethod
    def of(cls, graph: LabelledGraph, channels: Sequence[tuple[int, int]]) -> LayerGraph:
        """The layers of a graph.

        A convolution weighs inputs * units, a fully connected layer a tenth of that, a pool its inputs. Each input and
        output weighs a tenth of all this, at least 100, and the decision layers share the same.

        Args:
            channels: (inputs, units) of each node.
        """
        layers = tuple(map(Layer.of, graph.labels))
        own: list[float | None] = []
        for layer, (inputs, units) in zip(layers, channels, strict=True):
            weights = {"conv": float(inputs * units), "fc": 0.1 * inputs * units, "pool": float(inputs)}
            own.append(weights.get(layer.group))
        end = max(0.1 * sum(mass for mass in own if mass is not None), SMALLEST_END)
        decisions = sum(layer.group == "decision" for layer in layers)
        shares = [end / decisions if layer.group == "decision" else end for layer in layers]
        masses = tuple(share if mass is None else mass for mass, share in zip(own, shares, strict=True))
        return cls(layers, graph.edges, masses)

    @cached_property
    def mass(self) -> float:
        return sum(self.masses)

    @cached_property
    def path_lengths(self) -> NDArray[np.float64]:
        """Lengths of the ways from each layer: to the output and back to the input, by group, shortest, longest, mean.

        A length counts the edges that leave a layer of the group; the mean is of a random walk.

        Shape:
            returns: (layers, 2 * groups * 3)
        """
        graph = LabelledGraph(tuple(layer.name for layer in self.layers), self.edges)
        count = len(self.layers)
        found = np.zeros((count, 2, len(GROUPS), 3))
        for way, neighbours in enumerate((graph.successors, graph.predecessors)):
            for node in range(count) if way else reversed(range(count)):
                if neighbours[node]:
                    after = found[list(neighbours[node]), way]  # (neighbours, groups, 3)
                    leaves = [group in (None, self.layers[node].group) for group in GROUPS]
                    found[node, way, :, 0] = after[..., 0].min(0) + leaves
                    found[node, way, :, 1] = after[..., 1].max(0) + leaves
                    found[node, way, :, 2] = after[..., 2].mean(0) + leaves
        return found.reshape(count, -1)
