"""Noise and penalties against a search's excesses (systems sheet, sections 4 and 6.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.mixed import FanOut, MakeOperation
from nas_cli.networks.operations import search_operation
from nas_cli.networks.sparse import SparseFanOut
from nas_cli.networks.supernet import FanOutFactory, Supernet
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.mixing import Progress
from nas_cli.strategies.gradient.regularisers import DropPaths, DroppedSkip, Regulariser, SkipDropout, changed

NAMES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")
CHANNELS = 4


def made(regularisers: Sequence[Regulariser], rows: Sequence[Sequence[str]], stride: int = 1) -> nn.Module:
    with seeded(0):
        return changed(FanOut, regularisers)(rows, CHANNELS, stride, search_operation)


def images(count: int = 6) -> Tensor:
    return torch.randn(count, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(1))


def uniform(rows: Sequence[Sequence[str]]) -> Tensor:
    return torch.full((len(rows), len(rows[0])), 1 / len(rows[0]))


def both(first: nn.Module, second: nn.Module, rows: Sequence[Sequence[str]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The outputs of two kinds of mixed edges, edge by edge."""
    yield from zip(first(images(), uniform(rows)), second(images(), uniform(rows)), strict=True)


def supernet(regularisers: Sequence[Regulariser]) -> Supernet:
    edges = all_pairs(2, 2)
    choices = dict.fromkeys(("normal", "reduce"), Choices(edges, (NAMES,) * len(edges)))
    with seeded(0):
        return Supernet(choices, (1, 8, 8), 3, 2, 3, changed(FanOut, regularisers))


class TestDropPaths:
    ROWS = (NAMES,) * 3

    @pytest.mark.parametrize(("epoch", "probability"), [(0, 0.0), (1, 0.1), (2, 0.2), (4, 0.4)])
    def test_the_probability_grows_from_zero_to_all(self, epoch: int, probability: float) -> None:
        paths = DropPaths(0.4)
        network = made([paths], self.ROWS)
        paths.set_progress(network, Progress(epoch, 5))
        found = [module.probability for module in network.modules() if hasattr(module, "probability")]
        assert found == pytest.approx([probability])

    def test_a_single_epoch_has_none(self) -> None:
        paths = DropPaths(0.4)
        network = made([paths], self.ROWS)
        paths.set_progress(network, Progress(0, 1))
        plain = made([], self.ROWS)
        for output, wanted in zip(
            network(images(), uniform(self.ROWS)), plain(images(), uniform(self.ROWS)), strict=True
        ):
            assert torch.equal(output, wanted)

    def test_each_edge_and_image_has_a_draw_of_its_own_and_the_mean_is_kept(self) -> None:
        paths = DropPaths(0.4)
        rows = [("skip_connect",)] * 2
        network = made([paths], rows)
        paths.set_progress(network, Progress(4, 5))
        x, count = torch.ones(20_000, CHANNELS, 1, 1), 20_000
        with seeded(0):
            first, second = network(x, uniform(rows))
        for output in (first, second):
            assert output.unique().tolist() == pytest.approx([0, 1 / 0.6])
            assert output.mean().item() == pytest.approx(1, abs=0.03)
            assert torch.equal(output, output[:, :1].expand_as(output))  # an image as a whole
        both = ((first == 0) & (second == 0))[:, 0].sum().item() / count
        assert both == pytest.approx(0.16, abs=0.02)

    def test_evaluation_is_the_identity(self) -> None:
        paths = DropPaths(0.4)
        network, plain = made([paths], self.ROWS).eval(), made([], self.ROWS).eval()
        paths.set_progress(network, Progress(4, 5))
        for output, wanted in zip(
            network(images(), uniform(self.ROWS)), plain(images(), uniform(self.ROWS)), strict=True
        ):
            assert torch.equal(output, wanted)

    def test_it_draws_no_parameters_and_reaches_every_edge_of_a_supernet(self) -> None:
        paths = DropPaths(0.2)
        network, plain = supernet([paths]), supernet([])
        for value, other in zip(network.parameters(), plain.parameters(), strict=True):
            assert torch.equal(value, other)
        paths.set_progress(network, Progress(1, 2))
        found = [module.probability for module in network.modules() if hasattr(module, "probability")]
        assert found == [0.2] * 3 * 3  # three cells, each with three nodes that edges leave

    @pytest.mark.parametrize("probability", [-0.1, 1.0])
    def test_range(self, probability: float) -> None:
        with pytest.raises(InputError, match=rf"probability must be in \[0, 1\), not {probability}"):
            DropPaths(probability)


class TestSkipDropout:
    ROWS = (NAMES,) * 3

    @pytest.mark.parametrize(("epoch", "rate"), [(0, 0.384), (9, 0.24), (10, 0.4), (11, 0.327492), (24, 0.024324)])
    def test_the_schedule_of_the_sheet(self, epoch: int, rate: float) -> None:
        assert SkipDropout([0.0, 0.4, 0.7]).rate(Progress(epoch, 25, stage=1, warm_up=10)) == pytest.approx(
            rate, abs=5e-7
        )

    def test_each_stage_has_its_rate_and_later_ones_the_last(self) -> None:
        dropout = SkipDropout([0.0, 0.4, 0.7])
        assert [dropout.rate(Progress(10, 25, stage, warm_up=10)) for stage in range(4)] == [0.0, 0.4, 0.7, 0.7]

    def test_only_identity_skips(self) -> None:
        dropout = SkipDropout([0.4])
        assert sum(isinstance(m, DroppedSkip) for m in made([dropout], self.ROWS).modules()) == 3
        assert not any(isinstance(m, DroppedSkip) for m in made([dropout], self.ROWS, stride=2).modules())

    def test_the_rate_is_set_where_it_matters(self) -> None:
        dropout = SkipDropout([0.4])
        network = supernet([dropout])
        dropout.set_progress(network, Progress(0, 25))
        skips = [module for module in network.modules() if isinstance(module, DroppedSkip)]
        assert {module.p for module in skips} == {0.4}
        # Edges within a cell whose stride is 1: all five of the normal cell, and 2-3 of the two reduction cells.
        assert len(skips) == 5 + 2

    def test_every_edge_has_a_mask_of_its_own(self) -> None:
        dropout = SkipDropout([0.5])
        rows = [("skip_connect",)] * 3
        network = made([dropout], rows)
        dropout.set_progress(network, Progress(0, 25))
        x = torch.ones(64, CHANNELS, 8, 8)
        with seeded(0):
            outputs = network(x, uniform(rows))
        for output in outputs:
            assert set(output.unique().tolist()) == {0.0, 2.0}  # elementwise, and the mean is kept
            assert output.mean().item() == pytest.approx(1, abs=0.05)
        for k, output in enumerate(outputs):
            same = (output == outputs[k - 1]).float().mean().item()
            assert same == pytest.approx(0.5, abs=0.05)

    def test_other_operations_are_not_touched(self) -> None:
        dropout = SkipDropout([0.5])
        network, plain = made([dropout], self.ROWS), made([], self.ROWS)
        dropout.set_progress(network, Progress(0, 25))
        weights = torch.tensor([[0.2, 0.0, 0.5, 0.3]] * 3)  # but for the skip
        for output, wanted in zip(network(images(), weights), plain(images(), weights), strict=True):
            torch.testing.assert_close(output, wanted)

    @pytest.mark.parametrize("stage", [0, 1])
    def test_without_a_rate_or_in_evaluation_it_is_the_plain_supernet(self, stage: int) -> None:
        dropout = SkipDropout([0.0, 0.5])
        network, plain = made([dropout], self.ROWS), made([], self.ROWS)
        dropout.set_progress(network, Progress(0, 25, stage))
        if stage == 1:
            network, plain = network.eval(), plain.eval()
        for output, wanted in zip(
            network(images(), uniform(self.ROWS)), plain(images(), uniform(self.ROWS)), strict=True
        ):
            torch.testing.assert_close(output, wanted)

    def test_edges_that_run_few_operations(self) -> None:
        dropout = SkipDropout([0.5])
        with seeded(0):
            network = changed(SparseFanOut, [dropout])([NAMES] * 2, CHANNELS, 1, search_operation)
        dropout.set_progress(network, Progress(0, 25))
        weights = torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 2)
        first, second = network(torch.ones(8, CHANNELS, 8, 8), weights)
        assert set(first.unique().tolist()) == {0.0, 2.0}
        assert not torch.equal(first, second)

    @pytest.mark.parametrize(
        ("rates", "told"),
        [
            ([], r"rates must be in \[0, 1\), not \[\]"),
            ([0.1, 1.0], r"rates must be in \[0, 1\), not \[0.1, 1.0\]"),
        ],
    )
    def test_ranges(self, rates: list[float], told: str) -> None:
        with pytest.raises(InputError, match=told):
            SkipDropout(rates)


def test_all_changes_are_made_one_on_top_of_the_other() -> None:
    class Named(Regulariser):
        def __init__(self, name: str, log: list[str]) -> None:
            self.name, self.log = name, log

        def fan_out(self, make: FanOutFactory) -> FanOutFactory:
            def changing(
                operations: Sequence[Sequence[str]], channels: int, stride: int, operation: MakeOperation
            ) -> nn.Module:
                self.log.append(self.name)
                return make(operations, channels, stride, operation)

            return changing

    log: list[str] = []
    made([Named("inner", log), Regulariser(), Named("outer", log)], [NAMES])
    assert log == ["outer", "inner"]
