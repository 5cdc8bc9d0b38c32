"""What is measured beyond the plain figures, and that measuring changes nothing (stochastic sheet, 1.2 and 1.7)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from made_up import CPU, MadeUp, space
from torch import Tensor, nn

from nas_cli.data.loader import in_order
from nas_cli.errors import InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.networks.choices import Nodes
from nas_cli.networks.supernet import Supernet
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.architecture_gradient import FirstOrder
from nas_cli.strategies.gradient.derivation import TopK
from nas_cli.strategies.gradient.diagnostics import Credit, DerivedAccuracy, Diagnostic
from nas_cli.strategies.gradient.mixing import Mixing, Progress, Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.partial_channels import PartialChannels
from nas_cli.strategies.gradient.relaxation import Relaxation
from nas_cli.strategies.gradient.switches import Switches


def relaxation(steps: int = 2, batch_size: int = 8, mixing: Mixing | None = None, channels: int = 2) -> Relaxation:
    """A tiny search under way."""
    shared = SharedImageWeights(space(channels, cells=5), MadeUp(), CPU, 0, batch_size)
    mixing = mixing or Softmax(initial_scale=1.0)
    shared.begin(mixing.fan_out, epochs=2)
    with seeded(0):
        made = Relaxation(shared, mixing, shared.space.choices, (), Adam(), None)
        for _ in range(steps):
            FirstOrder().step(made)
    return made


def derived(made: Relaxation) -> dict[str, Nodes]:
    return {kind: TopK()(kind, made.choices[kind], rows) for kind, rows in made.strengths().items()}


def everything(made: Relaxation) -> list[Tensor]:
    shared = made.shared
    momenta = [shared.optimizer.state[p]["momentum_buffer"] for p in shared.network.parameters()]
    moments = [value for p in made.parameters.values() for value in made.optimizer.state[p].values()]
    values = [*shared.network.state_dict().values(), *momenta, *made.values.values(), *moments]
    return [value.detach().clone() for value in values]


def settings(made: Relaxation) -> list[Any]:
    return [m.momentum for m in made.shared.network.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("diagnostic", [DerivedAccuracy(), Credit()])
def test_measuring_leaves_the_search_bit_for_bit(diagnostic: Diagnostic) -> None:
    made = relaxation()
    before, counters = everything(made), copy.deepcopy(made.shared.state_dict()["train"])
    options, slopes = settings(made), [p.grad for p in made.shared.network.parameters()]
    held = [None if slope is None else slope.clone() for slope in slopes]
    with seeded(1):
        diagnostic.measure(made, derived(made))
    assert all(torch.equal(new, old) for new, old in zip(everything(made), before, strict=True))
    assert settings(made) == options
    assert made.shared.state_dict()["train"] == counters
    for parameter, old in zip(made.shared.network.parameters(), held, strict=True):
        assert (parameter.grad is None) if old is None else torch.equal(parameter.grad, old)  # type: ignore[arg-type]


class TestDerivedAccuracy:
    def test_it_is_the_cell_evaluated_inside_the_supernet_with_its_own_statistics(self) -> None:
        made = relaxation(batch_size=10)
        cells = derived(made)
        found = DerivedAccuracy().measure(made, cells)
        assert set(found) == {"derived_loss", "derived_accuracy"}
        # All twenty training images are one batch, whose own statistics are then the measured ones.
        shared, twin, weights = made.shared, copy.deepcopy(made.shared.network), made.discrete_weights(cells)
        assert isinstance(shared, SharedImageWeights)
        sources = shared.dataset.search_split(0.5)
        train, held_out = (next(in_order(source, 20, CPU.device)) for source in sources)
        for module in twin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            twin.train()(train[0], weights)
            logits = twin.eval()(held_out[0], weights)
        assert found["derived_loss"] == pytest.approx(F.cross_entropy(logits, held_out[1]).item(), rel=1e-5)
        assert found["derived_accuracy"] == pytest.approx((logits.argmax(1) == held_out[1]).float().mean().item())
        assert found["derived_loss"] != shared.validate(weights).metrics("valid")["valid_loss"]

    def test_the_weights_of_a_cell(self) -> None:
        made = relaxation(0)
        cells = derived(made)
        for kind, rows in made.discrete_weights(cells).items():
            assert rows.sum().item() == 4  # two nodes with two inputs
            assert set(rows.unique().tolist()) == {0.0, 1.0}
            for target, node in zip(made.choices[kind].targets, cells[kind], strict=True):
                for name, source in node:
                    row = made.choices[kind].edges.index((source, target))
                    assert rows[row, made.choices[kind].operations[row].index(name)] == 1


class TestCredit:
    MIXINGS = (
        Softmax(initial_scale=1.0),
        PartialChannels(share=2, initial_scale=1.0),
        Switches("input"),
        Switches("output"),
    )

    @pytest.mark.parametrize("mixing", MIXINGS, ids=["softmax", "partial_channels", "switches", "output_switches"])
    def test_conservation_at_every_node_of_a_real_cell(self, mixing: Mixing) -> None:
        """Σ_i R_ij = <∂L/∂x_j, x_j>, summed over the cells of a type."""
        made = relaxation(mixing=mixing, channels=4)
        network = made.shared.network.double()
        for value in made.parameters.values():
            value.data = value.data.double()
        made.fixed = {
            name: value.double() if value.is_floating_point() else value for name, value in made.fixed.items()
        }
        batch = made.shared.train_batch()
        made.shared.probe_batch = lambda: (batch[0].double(), batch[1])  # type: ignore[method-assign]
        found = Credit().measure(made, derived(made))

        outputs: list[Tensor] = []
        assert isinstance(network, Supernet)
        for cell in network.cells:
            cell.register_forward_hook(lambda module, inputs, output: outputs.append(output))
        weights = {kind: rows.detach() for kind, rows in made.weights().items()}
        loss = made.shared.loss((batch[0].double(), batch[1]), weights)
        slopes = torch.autograd.grad(loss, outputs)
        # The last node reaches the loss through the output of its cell alone.
        last: dict[str, float] = {"normal": 0.0, "reduce": 0.0}
        for kind, output, slope in zip(network.types, outputs, slopes, strict=True):
            value, gradient = output.chunk(2, dim=1)[1], slope.chunk(2, dim=1)[1]
            last[kind] += (value * gradient).sum().item()
        for kind in ("normal", "reduce"):
            assert len(found[f"credit_{kind}"]) == 5
            assert sum(found[f"credit_{kind}"][2:]) == pytest.approx(last[kind], abs=1e-6)
            assert last[kind] != 0

    def test_of_a_known_loss(self) -> None:
        """By how much the loss changes with the edge's weight: the derivative along a row, by differences."""
        made = relaxation()
        batch = made.shared.probe_batch()
        made.shared.probe_batch = lambda: batch  # type: ignore[method-assign]
        made.shared.network.double()
        for value in made.parameters.values():
            value.data = value.data.double()
        batch = (batch[0].double(), batch[1])
        found = Credit().measure(made, derived(made))
        weights = {kind: rows.detach() for kind, rows in made.weights().items()}
        own = dict(made.shared.network.named_parameters())
        for kind in ("normal", "reduce"):
            for row in range(5):
                losses = []
                for factor in (1 + 1e-6, 1 - 1e-6):
                    moved = {name: value.clone() for name, value in weights.items()}
                    moved[kind][row] *= factor
                    buffers = {name: value.clone() for name, value in made.shared.network.named_buffers()}
                    losses.append(made.shared.loss(batch, moved, {**own, **buffers}).item())
                assert found[f"credit_{kind}"][row] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6)


class Never(Diagnostic):
    def measure(self, relaxation: Relaxation, cells: Mapping[str, Nodes]) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]), (9, [0, 5])])
def test_the_epochs_that_are_looked_at(every: int, epochs: list[int]) -> None:
    assert [epoch for epoch in range(6) if Never(every).due(Progress(epoch, 6))] == epochs


def test_range() -> None:
    with pytest.raises(InputError, match="every must be at least 1, not 0"):
        Never(0)
