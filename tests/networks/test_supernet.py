"""The supernet: published parameter counts, the textbook's function, the derived network (sheet, 1.2, 2.6, 6.5, 8)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import supernet as bench
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.networks import mixed
from nas_cli.networks.cell_network import CellNetwork, NetworkCell
from nas_cli.networks.choices import Choices, all_pairs
from nas_cli.networks.genotype import Cell, Genotype
from nas_cli.networks.mixed import FanOut
from nas_cli.networks.supernet import MixedCell, Supernet
from nas_cli.seeding import seeded

EDGES = all_pairs(2, 4)
DARTS = bench.textbook.OPERATIONS
FULL = {kind: Choices(EDGES, (DARTS,) * 14) for kind in ("normal", "reduce")}
TINY = bench.Size(2, 3, 4, (1, 8, 8))

CODES = {"I": "skip_connect", "M": "max_pool_3x3", "A": "avg_pool_3x3", "s3": "sep_conv_3x3"}
CODES |= {"d3": "dil_conv_3x3", "d5": "dil_conv_5x5", "0": "none", "noise": "noise"}
S1 = {
    "normal": "I,d3|I,d5|I,d5|I,s3|I,d3|M,I|I,s3|I,s3|I,d3|I,s3|M,I|I,d3|d3,d5|d3,d5",
    "reduce": "M,A|M,d3|M,A|M,A|I,d5|M,A|M,s3|I,d3|I,d5|M,A|M,A|I,d5|I,d5|I,d5",
}


def choices(text: str) -> Choices:
    return Choices(EDGES, tuple(tuple(CODES[code] for code in edge.split(",")) for edge in text.split("|")))


def same(codes: str) -> dict[str, str]:
    return dict.fromkeys(("normal", "reduce"), "|".join([codes] * 14))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def softmax_rows(*seeds: int) -> dict[str, Tensor]:
    return {
        kind: torch.randn(14, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(-1)
        for kind, seed in zip(("normal", "reduce"), seeds, strict=True)
    }


def tiny(channels: int = 4, side: int = 8) -> Supernet:
    with seeded(0):
        return Supernet(FULL, (1, side, side), 10, channels, 3, FanOut).double()


def images(side: int = 8, count: int = 6) -> Tensor:
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize(
    ("cells", "classes", "count"),
    [(8, 10, 1_930_618), (8, 100, 1_953_748), (5, 10, 1_275_834), (11, 10, 2_585_146), (17, 10, 3_894_202)],
)
def test_published_parameter_counts(cells: int, classes: int, count: int) -> None:
    with torch.device("meta"):
        assert parameters(Supernet(FULL, (3, 32, 32), classes, 16, cells, FanOut)) == count


@pytest.mark.parametrize(
    ("lists", "count"),
    [(S1, 405_146), (same("I,s3"), 665_466), (same("0,I,s3"), 665_466), (same("noise,s3"), 624_506)],
    ids=["S1", "S2", "S3", "S4"],
)
def test_parameter_counts_of_the_reduced_spaces(lists: dict[str, str], count: int) -> None:
    open_ = {kind: choices(text) for kind, text in lists.items()}
    with torch.device("meta"):
        network = Supernet(open_, (3, 32, 32), 10, 16, 8, FanOut)
    assert parameters(network) == count


@pytest.mark.parametrize("largest", [0, 2**30], ids=["apart", "merged"])
def test_the_function_is_the_textbooks(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed, "LARGEST_MERGED", largest)
    with seeded(0):
        twins = bench.Twins(TINY)
    covered = sum(other.numel() for _, _, other in twins.pairs)
    assert covered == parameters(twins.shared.network) == parameters(twins.theirs.network)
    ours, theirs = twins.losses()
    assert abs((ours - theirs).item()) < 1e-10
    assert twins.gradient_gap() < 1e-10
    assert twins.weight_step_gap() < 1e-10
    assert twins.architecture_gap() < 1e-6

    twins.shared.network.eval()
    twins.theirs.network.eval()
    ours, theirs = twins.losses()
    assert abs((ours - theirs).item()) < 1e-10


def test_adding_a_constant_to_a_row_changes_nothing() -> None:
    network, x = tiny(), images()
    alphas = {kind: torch.randn(14, 8, dtype=torch.float64, requires_grad=True) for kind in FULL}
    logits = network(x, {kind: alpha.softmax(-1) for kind, alpha in alphas.items()})
    moved = network(x, {kind: (alpha + torch.arange(14.0)[:, None]).softmax(-1) for kind, alpha in alphas.items()})
    torch.testing.assert_close(moved, logits, rtol=0, atol=1e-10)
    for gradient in torch.autograd.grad(F.cross_entropy(logits, torch.arange(6)), list(alphas.values())):
        assert gradient.abs().max() > 1e-4
        torch.testing.assert_close(gradient.sum(-1), torch.zeros(14, dtype=torch.float64), rtol=0, atol=1e-12)


def test_uniform_weights_give_a_node_the_mean_of_its_operations() -> None:
    network = tiny()
    cell = network.cells[0]
    assert isinstance(cell, MixedCell)
    first, second = network.stem(images())
    rows = [torch.full((len(targets), 8), 1 / 8, dtype=torch.float64) for targets in cell.targets]
    node = cell(first, second, rows)[:, :4]  # node 2, which only the two inputs reach
    expected = torch.zeros_like(node)
    for source in (0, 1):
        value = cell.preprocess[source](first)
        for column in range(8):
            one_hot = torch.zeros(4, 8, dtype=torch.float64)
            one_hot[0, column] = 1
            expected += cell.fan_outs[source](value, one_hot)[0] / 8
    torch.testing.assert_close(node, expected, rtol=0, atol=1e-12)


def pieces(fan_out: nn.Module, operation: str, edge: int) -> Sequence[Tensor]:
    """The parameters of an operation on an edge of a `FanOut`."""
    assert isinstance(fan_out, FanOut)
    if operation == "skip_connect":
        return list(fan_out.others[edge].parameters()) if len(fan_out.others) else []
    names = [name for name in DARTS if "conv" in name and name != "skip_connect"]
    whole = list(fan_out.merged[names.index(operation)].parameters())
    return [parameter.chunk(fan_out._edges)[edge] for parameter in whole]


def test_a_one_hot_supernet_is_the_derived_network() -> None:
    # Without pools, which have a normalisation in a search alone; a fresh scale is 1, so affine is no difference.
    cells = {
        "normal": "sep_conv_3x3:0 + skip_connect:1 | dil_conv_5x5:0 + sep_conv_5x5:2 | skip_connect:1 + dil_conv_3x3:3"
        " | sep_conv_3x3:2 + sep_conv_3x3:4 ; concat 2,3,4,5",
        "reduce": "skip_connect:0 + dil_conv_3x3:1 | skip_connect:2 + sep_conv_5x5:0 | dil_conv_5x5:1 + skip_connect:1"
        " | skip_connect:3 + sep_conv_3x3:0 ; concat 2,3,4,5",
    }
    # A node's two inputs differ in a DARTS cell; `reduce` has one repeated to show that its rows are added.
    cells["reduce"] = cells["reduce"].replace("dil_conv_5x5:1 + skip_connect:1", "dil_conv_5x5:1 + skip_connect:0")
    genotype = Genotype(Cell.parse(cells["normal"]), Cell.parse(cells["reduce"]))
    search = tiny()
    with seeded(1):
        derived = CellNetwork(genotype, (1, 8, 8), 10, 4, 3, auxiliary=False).double()
    weights = {kind: F.one_hot(torch.zeros(14, dtype=torch.int64), 8).double() for kind in FULL}  # all `none`
    with torch.no_grad():
        derived.stem.load_state_dict(search.stem.state_dict())
        derived.classifier.load_state_dict(search.classifier.state_dict())
        for kind, ours, theirs in zip(search.types, search.cells, derived.cells, strict=True):
            assert isinstance(ours, MixedCell)
            assert isinstance(theirs, NetworkCell)
            convolutions = [p for p in theirs.preprocess.parameters() if p.dim() == 4]
            for parameter, wanted in zip(convolutions, ours.preprocess.parameters(), strict=True):
                parameter.copy_(wanted)
            operations = iter(theirs.operations)
            cell = genotype.normal if kind == "normal" else genotype.reduce
            for target, node in enumerate(cell.nodes, start=2):
                for name, source in node:
                    row = EDGES.index((source, target))
                    weights[kind][row] = F.one_hot(torch.tensor(DARTS.index(name)), 8).double()
                    wanted_parts = pieces(ours.fan_outs[source], name, ours.targets[source].index(target))
                    convolutions = [p for p in next(operations).parameters() if p.dim() == 4]
                    for parameter, wanted in zip(convolutions, wanted_parts, strict=True):
                        parameter.copy_(wanted)
    x = images()
    torch.testing.assert_close(search(x, weights), derived(x), rtol=0, atol=1e-10)


def test_saved_state_is_whole() -> None:
    first, weights = tiny(), softmax_rows(0, 1)
    first(images(), weights)
    with seeded(1):
        second = Supernet(FULL, (1, 8, 8), 10, 4, 3, FanOut).double()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second.eval()(images(), weights), first.eval()(images(), weights), rtol=0, atol=0)


def test_second_derivatives_in_the_architecture_are_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "relu", F.softplus)  # symmetric only where the function is smooth
    edges = all_pairs(2, 1)
    names = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "avg_pool_3x3")
    with seeded(0):
        network = Supernet(
            {kind: Choices(edges, (names,) * 2) for kind in ("normal", "reduce")}, (1, 8, 8), 4, 2, 3, FanOut
        ).double()

    def loss(flat: Tensor) -> Tensor:
        normal, reduce = flat.view(2, 2, 5).softmax(-1)
        return F.cross_entropy(network(images(), {"normal": normal, "reduce": reduce}), torch.arange(6) % 4)

    alphas = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(loss, alphas)
    assert hessian.abs().max() > 1e-3
    torch.testing.assert_close(hessian, hessian.T, rtol=0, atol=1e-10)
    # A column by finite differences of the gradient.
    step = torch.zeros_like(alphas)
    step[12] = 1e-5
    sides = [torch.autograd.functional.jacobian(loss, alphas + sign * step) for sign in (1, -1)]
    torch.testing.assert_close(hessian[12], (sides[0] - sides[1]) / 2e-5, rtol=0, atol=1e-7)


@pytest.mark.parametrize("side", [4, 12, 28])
def test_sides_of_other_data_sets(side: int) -> None:
    logits = tiny(2, side)(images(side, 2), softmax_rows(0, 1))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


def test_bfloat16_runs_and_is_near() -> None:
    network, x = tiny().float(), images().float()
    weights = {kind: rows.float().requires_grad_() for kind, rows in softmax_rows(0, 1).items()}
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(x, weights)
    logits.float().sum().backward()
    assert all(rows.grad is not None and rows.grad.isfinite().all() for rows in weights.values())
    torch.testing.assert_close(logits.float(), network(x, weights), rtol=0.1, atol=0.1)
