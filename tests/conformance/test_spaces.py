"""What every space under configs/space must do; a new one is held to this without an edit here."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nas_cli import config as configuration
from nas_cli.architecture import Architecture, Value
from nas_cli.build import build
from nas_cli.errors import InputError
from nas_cli.networks.mixed import FanOut
from nas_cli.seeding import seeded
from nas_cli.spaces.base import CellSpace, NetworkSpace, Space, SupernetSpace
from nas_cli.spaces.combinations import count, walk
from nas_cli.spaces.decisions import Decision

NAMES = configuration.choices()["space"]
DRAWS = 25


def make(name: str, **options: object) -> Space:
    section = configuration.compose("search", [f"space={name}"])["space"]
    return build({**section, **options}, "space", Space, name=name)


@pytest.fixture(scope="module", params=NAMES)
def space(request: pytest.FixtureRequest) -> Space:
    return make(request.param)


@pytest.fixture(scope="module")
def drawn(space: Space) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return [space.sample(generator) for _ in range(DRAWS)]


def test_there_are_as_many_as_there_were() -> None:
    assert {"branin", "darts", "nasbench201"} <= set(NAMES)


def test_it_carries_the_name_that_it_was_configured_under(space: Space, drawn: list[Architecture]) -> None:
    assert space.name in NAMES
    assert {architecture.space for architecture in drawn} == {space.name}


def test_samples_are_valid_and_vary(space: Space, drawn: list[Architecture]) -> None:
    for architecture in drawn:
        values = space.encode(architecture)
        assert len(values) == len(space.decisions)
        for value, decision, is_made in zip(values, space.decisions, space.active(values), strict=True):
            assert value in decision if is_made else value is None
    assert len(set(drawn)) > 1


def made(space: Space, values: Sequence[Value]) -> tuple[Value, ...]:
    """Values for all decisions, without those of the decisions that they leave inactive."""
    return tuple(value if is_made else None for value, is_made in zip(values, space.active(values), strict=True))


def test_decode_and_encode_are_inverse(space: Space, drawn: list[Architecture]) -> None:
    generator = np.random.default_rng(1)
    for architecture in drawn:
        assert space.decode(space.encode(architecture)) == architecture
        values = made(space, [decision.sample(generator) for decision in space.decisions])
        assert space.encode(space.decode(values)) == values


def test_every_single_value_of_every_decision_is_kept(space: Space) -> None:
    generator = np.random.default_rng(2)
    start = [decision.sample(generator) for decision in space.decisions]
    for position, decision in enumerate(space.decisions):
        for value in decision.grid(4):
            values = made(space, [*start[:position], value, *start[position + 1 :]])
            assert space.encode(space.decode(values)) == values


def test_an_architecture_survives_json(space: Space, drawn: list[Architecture]) -> None:
    for architecture in drawn:
        back = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
        assert back == architecture
        assert hash(back) == hash(architecture)
        assert space.encode(back) == space.encode(architecture)


def test_size_counts_every_combination_once_or_is_none(space: Space) -> None:
    size = space.size()
    assert (size is None) == any(decision.values() is None for decision in space.decisions)
    axes = [decision.grid(2)[:2] for decision in space.decisions]
    few = list(itertools.islice(walk(space.decisions, axes), 5000))
    assert len(set(few)) == len(few) == min(count(space.decisions, axes), 5000)
    assert size is None or size >= len(few)


def test_names_of_decisions_differ(space: Space) -> None:
    names = [decision.name for decision in space.decisions]
    assert names
    assert len(set(names)) == len(names)


def test_conditions_name_values_of_earlier_decisions(space: Space) -> None:
    earlier: dict[str, Decision] = {}
    for decision in space.decisions:
        if decision.when is not None:
            assert decision.when.values
            assert all(value in earlier[decision.when.decision] for value in decision.when.values)
        earlier[decision.name] = decision


@pytest.mark.parametrize("decisions", [(), ("foreign",), ("foreign",) * 6, (0.5, 1e9), ("a ; concat 2", "b")])
def test_a_foreign_architecture_is_refused_in_one_line(space: Space, decisions: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        space.encode(Architecture(space.name, decisions))
    assert "\n" not in str(caught.value)


@functools.cache
def one_of(name: str) -> Architecture:
    return make(name).sample(np.random.default_rng(0))


def test_an_architecture_of_another_space_is_refused_unless_it_is_one_of_this_too(space: Space) -> None:
    refused = 0
    for other in map(one_of, NAMES):
        try:
            values = space.encode(other)
        except InputError:
            refused += 1
        else:  # spaces of the same cells differ in their candidates, or in the networks that they make
            assert space.decode(values).decisions == other.decisions
    assert refused > 0


def test_the_same_generator_gives_the_same_draws(space: Space) -> None:
    first, second = ([space.sample(np.random.default_rng(seed)) for seed in range(5)] for _ in range(2))
    assert first == second


def test_global_generators_are_left_alone(space: Space) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    again = make(space.name)
    architecture = again.sample(np.random.default_rng(0))
    again.describe(architecture)
    again.graphs(architecture)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index,union-attr]


def test_it_can_be_shown_to_a_person(space: Space, drawn: list[Architecture]) -> None:
    for architecture in drawn[:5]:
        assert space.describe(architecture).strip()
        for graph in space.graphs(architecture):
            last = len(graph.inputs) + len(graph.nodes) - 1
            assert all(0 <= source < target <= last for source, target, _ in graph.edges)
            assert set(graph.outputs) <= set(range(last + 1))


def tiny(name: str) -> Space:
    """At the smallest size that the options allow."""
    section = configuration.compose("search", [f"space={name}"])["space"]
    small = {option: value for option, value in {"channels": 2, "cells": 3}.items() if option in section}
    return make(name, **small)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_learns(name: str) -> None:
    """Forward, backward, and the same network from the same seed."""
    space = tiny(name)
    if not isinstance(space, NetworkSpace):
        pytest.skip("makes no networks")
    images = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    for k in range(4):
        architecture = space.sample(np.random.default_rng(k))
        with seeded(k, "network"):
            network = space.build(architecture, (1, 12, 12), 5)
        with seeded(k, "network"):
            twin = space.build(architecture, (1, 12, 12), 5)
        with seeded(0, "step"):
            logits = network(images)
        with seeded(0, "step"):
            assert torch.equal(twin(images), logits)
        assert logits.shape == (4, 5)
        assert torch.isfinite(logits).all()
        logits.square().mean().backward()
        slopes = [parameter.grad for parameter in network.parameters()]
        assert any(slope is not None and bool(slope.abs().sum() > 0) for slope in slopes)


@pytest.mark.parametrize("name", NAMES)
def test_every_supernet_learns_weights_and_architecture(name: str) -> None:
    space = tiny(name)
    if not isinstance(space, SupernetSpace):
        pytest.skip("has no supernet")
    with seeded(0, "supernet"):
        network = space.supernet((1, 12, 12), 5, FanOut)
        alphas = {kind: torch.randn(choices.shape, requires_grad=True) for kind, choices in space.choices.items()}
    images = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    logits = network(images, {kind: alpha.softmax(dim=-1) for kind, alpha in alphas.items()})
    assert logits.shape == (4, 5)
    logits.square().mean().backward()
    for alpha in alphas.values():
        assert alpha.grad is not None
        # A constant added to a row changes nothing, so the slopes of a row add up to 0.
        assert torch.allclose(alpha.grad.sum(dim=1), torch.zeros(len(alpha)), atol=1e-6)
        assert alpha.grad.abs().sum() > 0
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_derived_cells_are_architectures_of_the_space(name: str) -> None:
    space = tiny(name)
    if not isinstance(space, CellSpace):
        pytest.skip("has no supernet")
    cells = {
        kind: tuple(
            tuple(
                (next(o for o in choices.operations[row] if o != "none"), choices.edges[row][0])
                for row in choices.rows_into(target)[: choices.inputs]
            )
            for target in choices.targets
        )
        for kind, choices in space.choices.items()
    }
    architecture = space.from_cells(cells)
    assert architecture.space == name
    assert space.decode(space.encode(architecture)) == architecture
