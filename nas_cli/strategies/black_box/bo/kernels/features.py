"""Kernels that are functions of inner products of counted features: subtrees, paths, operations."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import gpytorch
import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from nas_cli.architecture import Architecture
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Inputs, Scales, logarithmic, scaled

#: How often each feature occurs in an architecture, level by level (one level for most kernels).
Features = Sequence[Mapping[Hashable, int]]


class _Rows:
    """A sparse matrix of whole numbers to which rows are appended; its columns are given on first sight."""

    def __init__(self) -> None:
        self._columns: dict[Hashable, int] = {}
        self._indices, self._values, self._pointers = array("q"), array("d"), array("q", [0])
        self._matrix: csr_matrix | None = None

    def columns(self, counts: Mapping[Hashable, int]) -> tuple[tuple[int, int], ...]:
        """(column, count) in a canonical order."""
        known = self._columns
        return tuple(sorted((known.setdefault(feature, len(known)), count) for feature, count in counts.items()))

    def append(self, row: Sequence[tuple[int, int]]) -> None:
        self._indices.extend(column for column, _ in row)
        self._values.extend(count for _, count in row)
        self._pointers.append(len(self._indices))
        self._matrix = None

    @property
    def matrix(self) -> csr_matrix:
        if self._matrix is None:
            parts = (np.array(self._values), np.array(self._indices), np.array(self._pointers))
            self._matrix = csr_matrix(parts, shape=(len(self._pointers) - 1, len(self._columns)))
        return self._matrix


@dataclass(frozen=True)
class Pairs:
    """Inner products of features, once for each pair of distinct rows, and where the pairs asked for stand among them.

    Args:
        products: (distinct1, distinct2).
        squares1, squares2: of the features with themselves, (distinct1, 1) and (1, distinct2).
        places1, places2: (..., a) and (..., b).
    """

    products: Tensor
    squares1: Tensor
    squares2: Tensor
    places1: Tensor
    places2: Tensor

    @property
    def cosines(self) -> Tensor:
        return self.products / (self.squares1 * self.squares2).sqrt()

    @property
    def distances(self) -> Tensor:
        """Squared ones."""
        return self.squares1 + self.squares2 - 2 * self.products

    def spread(self, values: Tensor) -> Tensor:
        """From values of the distinct pairs (..., distinct1, distinct2) those of all: (..., a, b)."""
        leading = np.broadcast_shapes(values.shape[:-2], self.places1.shape[:-1], self.places2.shape[:-1])
        if self.places1.shape[:-1].numel() == self.places2.shape[:-1].numel() == 1:  # the same rows throughout
            found = values.index_select(-1, self.places2.flatten()).index_select(-2, self.places1.flatten())
            return found.expand(*leading, -1, -1)
        places = self.places1[..., :, None] * values.shape[-1] + self.places2[..., None, :]
        flat, where = values.flatten(-2).expand(*leading, -1), places.flatten(-2).expand(*leading, -1)
        return flat.gather(-1, where).reshape(*leading, *places.shape[-2:])


class FeatureTable(Inputs):
    """Architectures by number: those with the same features share one. Knows the inner products of their features.

    Counts are whole numbers, so products are exact, and neither the order in which architectures were first seen nor
    Python's hash seed can change a proposal.

    Args:
        features: of an architecture.
        levels: how many levels of features there are.
    """

    def __init__(self, features: Callable[[Architecture], Features], levels: int = 1) -> None:
        self._features = features
        self._numbers: dict[Architecture, int] = {}
        self._known: dict[tuple[tuple[tuple[int, int], ...], ...], int] = {}
        self._levels = [_Rows() for _ in range(levels)]
        self._latest: dict[int, tuple[bytes, Pairs]] = {}

    def rows(self, architectures: Sequence[Architecture]) -> Tensor:
        numbers = [self._number(architecture) for architecture in architectures]
        return torch.tensor(numbers, dtype=torch.float64)[:, None]

    def _number(self, architecture: Architecture) -> int:
        found = self._numbers.get(architecture)
        if found is None:
            levels = zip(self._levels, self._features(architecture), strict=True)
            key = tuple(rows.columns(counts) for rows, counts in levels)
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = len(self._known)
                for rows, row in zip(self._levels, key, strict=True):
                    rows.append(row)
            self._numbers[architecture] = found
        return found

    def pairs(self, x1: Tensor, x2: Tensor, level: int) -> Pairs:
        """What is known of all pairs of rows of x1 (..., a, 1) and x2 (..., b, 1), from the features up to `level`."""
        same = x1.shape == x2.shape and torch.equal(x1, x2)
        key = x1.numpy().tobytes() if same else b""
        if same and level in self._latest and self._latest[level][0] == key:
            return self._latest[level][1]  # a fit asks for the same matrix again and again
        numbers1, places1 = torch.unique(x1[..., 0].long(), return_inverse=True)
        numbers2, places2 = torch.unique(x2[..., 0].long(), return_inverse=True)
        products = torch.zeros(len(numbers1), len(numbers2), dtype=torch.float64)
        squares1, squares2 = torch.zeros(len(numbers1)).double(), torch.zeros(len(numbers2)).double()
        for rows in self._levels[: level + 1]:
            first, second = rows.matrix[numbers1.numpy()], rows.matrix[numbers2.numpy()]
            products += torch.from_numpy((first @ second.T).toarray())
            squares1 += torch.from_numpy(np.asarray(first.multiply(first).sum(axis=1))[:, 0])
            squares2 += torch.from_numpy(np.asarray(second.multiply(second).sum(axis=1))[:, 0])
        found = Pairs(products, squares1[:, None], squares2[None, :], places1, places2)
        if same:
            self._latest[level] = (key, found)
        return found


class Cosine(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """k(x, x') = <f, f'> / sqrt(<f, f> <f', f'>) of features f.

    Shape:
        x1: (..., a, 1); x2: (..., b, 1); returns: (..., a, b), or (..., a) where `diag`
    """

    def __init__(self, table: FeatureTable, level: int) -> None:
        super().__init__()
        self.table = table
        self.level = level

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        if diag:  # asked of rows with themselves only
            return torch.ones(x1.shape[:-1], dtype=x1.dtype)
        pairs = self.table.pairs(x1, x2, self.level)
        return pairs.spread(pairs.cosines)


class Exponential(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """k(x, x') = exp(-d / (unit l)) with the squared distance d = |f - f'|^2 of features f.

    Args:
        unit: the distance that is 1 at length scale 1.
        normalised: of features divided by their length; then d = 2 - 2 cos.
    Shape:
        as `Cosine`; the length scale l: (members, 1, 1)
    """

    has_lengthscale = True

    def __init__(self, table: FeatureTable, level: int, unit: float, normalised: bool, members: int) -> None:
        super().__init__(batch_shape=torch.Size([members]), lengthscale_constraint=logarithmic())
        self.table = table
        self.level = level
        self.unit = unit
        self.normalised = normalised

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: object) -> Tensor:
        if diag:  # asked of rows with themselves only
            return torch.ones(*self.batch_shape, x1.shape[-2], dtype=x1.dtype)
        pairs = self.table.pairs(x1, x2, self.level)
        distances = 2 - 2 * pairs.cosines if self.normalised else pairs.distances
        return pairs.spread(torch.exp(distances / (-self.unit * self.lengthscale)))


class CosineCovariance(Covariance):
    """Amplitude times `Cosine`; the level is fitted by marginal likelihood."""

    scales = Scales(count=0)

    def __init__(self, inputs: FeatureTable, levels: tuple[int, ...]) -> None:
        self.inputs: FeatureTable = inputs
        self.levels = levels

    def build(self, members: int, level: int | None = None) -> gpytorch.kernels.Kernel:
        return scaled(Cosine(self.inputs, self.levels[0] if level is None else level), members)


class ExponentialCovariance(Covariance):
    """Amplitude times `Exponential`, with one length scale; levels, if any, as for `CosineCovariance`."""

    def __init__(
        self, inputs: FeatureTable, unit: float, normalised: bool = False, levels: tuple[int, ...] = ()
    ) -> None:
        self.inputs: FeatureTable = inputs
        self.scales = Scales()
        self.unit = unit
        self.normalised = normalised
        self.levels = levels

    def build(self, members: int, level: int | None = None) -> gpytorch.kernels.Kernel:
        return scaled(Exponential(self.inputs, level or 0, self.unit, self.normalised, members), members)
