"""Maximisers over architectures one by one: a pool of candidates, or all there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from nas_cli.architecture import Architecture, Value
from nas_cli.errors import CombinationError, require
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.base import Space
from nas_cli.spaces.combinations import is_active, walk
from nas_cli.spaces.decisions import Decision
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.maximisers.base import Hunt, Maximiser

MOST = 1_000_000  # architectures that are enumerated
MOST_DRAWN = 2_000  # at which a joint draw is made: it is cubic
TRIES = 100  # draws for each candidate before a pool is left smaller, and for a value before the old one is kept


class Candidates(Maximiser):
    """The best of a pool: mutations of the best trials, and random architectures, none seen before.

    Args:
        pool: how many. NAS-BOWL: 200.
        mutated: the share of mutations. NAS-BOWL: 0.5, on NAS-Bench-201 1.
        parents: so many of the best trials are mutated, in turn. NAS-BOWL: 10.
        mutation: probability that a decision changes to another value; at least one does. None: one decision in the
            mean. NAS-BOWL: 0.2.
    Reference: Ru et al., NAS-BOWL, ICLR 2021, arXiv:2006.07556, sec. 3.2.
    """

    def __init__(self, pool: int = 200, mutated: float = 0.5, parents: int = 10, mutation: float | None = None) -> None:
        require(pool >= 1, f"pool must be at least 1, not {pool}")
        require(0 <= mutated <= 1, f"mutated must lie in 0..1, not {mutated}")
        require(parents >= 1, f"parents must be at least 1, not {parents}")
        require(mutation is None or 0 < mutation <= 1, f"mutation must lie in 0..1 and not be 0, not {mutation}")
        self.pool = pool
        self.mutated = mutated
        self.parents = parents
        self.mutation = mutation

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        generator = numpy_generator(hunt.seed, "candidates")
        parents = hunt.ranked[: self.parents]
        mutations = (mutate(hunt.space, parent, self.mutation, generator) for parent in itertools.cycle(parents))
        pool: dict[Architecture, None] = {}  # a set in order
        self._fill(pool, mutations, round(self.pool * self.mutated), hunt)
        self._fill(pool, (hunt.space.sample(generator) for _ in itertools.count()), self.pool, hunt)
        return _by_value(hunt, list(pool))

    @staticmethod
    def _fill(pool: dict[Architecture, None], source: Iterator[Architecture], size: int, hunt: Hunt) -> None:
        """Add new ones until the pool has its size, or there are hardly any."""
        for candidate in itertools.islice(source, TRIES * max(0, size - len(pool))):
            if len(pool) >= size:
                return
            if not hunt.is_known(candidate):
                pool[candidate] = None


class Enumerate(Maximiser):
    """The best of all architectures that were not seen before."""

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        size = space.size()
        if size is None:
            raise CombinationError(
                f"strategy/maximiser=enumerate: space={space.name} has a number without steps; take mixed or multistart"
            )
        is_joint = acquisition.draws_function and not covariance.pathwise
        most = MOST_DRAWN if is_joint else MOST
        if size > most:
            raise CombinationError(
                f"strategy/maximiser=enumerate: space={space.name} has {size} architectures, and it takes at most "
                f"{most}{' with thompson' if is_joint else ''}; take candidates"
            )
        return self

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        return _by_value(hunt, [each for each in every(hunt.space) if not hunt.is_known(each)])


def every(space: Space) -> Iterator[Architecture]:
    """All architectures of a finite space; one that several values of the decisions stand for comes once."""
    axes = [decision.values() for decision in space.decisions]
    decoded = (space.decode(values) for values in walk(space.decisions, [axis for axis in axes if axis is not None]))
    return iter(dict.fromkeys(decoded))


def mutate(
    space: Space, architecture: Architecture, probability: float | None, generator: np.random.Generator
) -> Architecture:
    """A copy with other values of some decisions, at least one; those that become active with them are drawn."""
    values = space.encode(architecture)
    made = [k for k, value in enumerate(values) if value is not None]
    share = 1 / len(made) if probability is None else probability
    chosen = {k for k in made if generator.random() < share} or {int(generator.choice(made))}
    found: dict[str, Value] = {}
    for k, decision in enumerate(space.decisions):
        if is_active(decision, found):
            old = values[k]
            found[decision.name] = _another(decision, old, generator) if k in chosen or old is None else old
    return space.decode([found.get(decision.name) for decision in space.decisions])


def _another(decision: Decision, old: Value, generator: np.random.Generator) -> Value:
    """A draw that is not the old value, unless the decision hardly has another."""
    draws = (decision.sample(generator) for _ in range(TRIES))
    return next((value for value in draws if value != old), old)


def _by_value(hunt: Hunt, pool: list[Architecture]) -> Iterable[Architecture]:
    if not pool:
        return []
    values = hunt.values(hunt.inputs.rows(pool))
    return [pool[k] for k in values.argsort(descending=True, stable=True).tolist()]
