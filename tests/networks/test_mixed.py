"""Mixed edges against a plain sum over separately built operations (systems sheet, sections 1.1 and 2.6)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks import mixed
from nas_cli.networks.mixed import FanOut, can_merge
from nas_cli.networks.operations import make_operation
from nas_cli.seeding import seeded

DARTS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
CHANNELS = 4


class Doubler(nn.Module):
    """A user's own operation."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x[:, :, :: self.stride, :: self.stride]


LISTS = {
    "all operations": [DARTS] * 3,
    "a list for each edge": [
        ("skip_connect", "dil_conv_3x3"),
        ("max_pool_3x3", "avg_pool_3x3"),
        ("dil_conv_3x3", "none"),
        ("sep_conv_7x7", "max_pool_3x3"),
    ],
    "no pooling": [("sep_conv_3x3", "none")],
    "others": [
        ("conv_7x1_1x7", "nor_conv_3x3", f"{__name__}.Doubler"),
        (f"{__name__}.Doubler", "none", "conv_7x1_1x7"),
    ],
}


@pytest.fixture(params=[0, 2**30], ids=["apart", "merged"])
def _merging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges computed one by one, and in one call."""
    monkeypatch.setattr(mixed, "LARGEST_MERGED", request.param)


def fan_out(operations: list[tuple[str, ...]], stride: int) -> FanOut:
    with seeded(0):
        return FanOut(operations, CHANNELS, stride).double()


def separate(made: FanOut, operations: list[tuple[str, ...]], stride: int) -> list[list[nn.Module]]:
    """For each edge its operations as modules of their own, with the parameters of `made`."""
    merged = [
        name
        for name in dict.fromkeys(name for row in operations for name in row)
        if name != "none" and can_merge(name, stride)
    ]
    seen = dict.fromkeys(merged, 0)
    found: list[list[nn.Module]] = []
    for edge, row in enumerate(operations):
        modules = []
        for name in row:
            module = make_operation(name, CHANNELS, stride, affine=False).double()
            if name.endswith("pool_3x3"):
                module = nn.Sequential(module, nn.BatchNorm2d(CHANNELS, affine=False).double())
            if name in merged:
                source = list(made.merged[merged.index(name)].parameters())
                parts = [parameter.chunk(len(parameter) // CHANNELS)[seen[name]] for parameter in source]
                seen[name] += 1
            else:
                parts = []
                if list(module.parameters()):  # the only one of its shapes on this edge
                    shapes = [parameter.shape for parameter in module.parameters()]
                    own = [m for m, where in zip(made.others, made._other_edges, strict=True) if where == edge]
                    parts = next(p for p in (list(m.parameters()) for m in own) if [q.shape for q in p] == shapes)
            with torch.no_grad():
                for parameter, part in zip(module.parameters(), parts, strict=True):
                    parameter.copy_(part)
            modules.append(module)
        found.append(modules)
    return found


def image(side: int) -> Tensor:
    return torch.randn(3, CHANNELS, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.usefixtures("_merging")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "channels_last"])
@pytest.mark.parametrize(("stride", "side"), [(1, 8), (2, 8), (1, 7), (1, 2), (2, 2), (1, 1), (1, 3)])
@pytest.mark.parametrize("name", LISTS)
def test_edges_are_weighted_sums_with_their_gradients(
    name: str, stride: int, side: int, layout: torch.memory_format
) -> None:
    operations = LISTS[name]
    made = fan_out(operations, stride).to(memory_format=layout)
    plain = separate(made, operations, stride)
    x = image(side).to(memory_format=layout).requires_grad_()
    weights = torch.rand(len(operations), len(operations[0]), dtype=torch.float64, requires_grad=True)
    found = made(x, weights)
    wanted = [sum(w * o(x) for w, o in zip(row, ops, strict=True)) for row, ops in zip(weights, plain, strict=True)]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)

    slopes = [torch.randn_like(value) for value in found]
    leaves = (x, weights)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, slopes), torch.autograd.grad(wanted, leaves, slopes), rtol=0, atol=1e-10
    )


@pytest.mark.usefixtures("_merging")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("column", range(1, len(DARTS)))
def test_one_hot_weights_give_that_operation(column: int, stride: int) -> None:
    operations = [DARTS] * 2
    made = fan_out(operations, stride)
    weights = torch.zeros(2, len(DARTS), dtype=torch.float64)
    weights[:, column] = 1
    x = image(8)
    for output, modules in zip(made(x, weights), separate(made, operations, stride), strict=True):
        torch.testing.assert_close(output, modules[column](x), rtol=0, atol=1e-12)


@pytest.mark.usefixtures("_merging")
def test_evaluation_uses_running_statistics() -> None:
    operations = [DARTS] * 3
    made = fan_out(operations, 1)
    plain = separate(made, operations, 1)
    weights = torch.rand(3, len(DARTS), dtype=torch.float64)
    for seed in (1, 2):
        x = torch.randn(6, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        made(x, weights)
        for modules in plain:
            for module in modules:
                module(x)
    made.eval()
    found = made(image(8), weights)
    for output, row, modules in zip(found, weights, plain, strict=True):
        wanted = sum(w * module.eval()(image(8)) for w, module in zip(row, modules, strict=True))
        torch.testing.assert_close(output, wanted, rtol=0, atol=1e-12)


def test_an_edge_of_nothing_gives_zeros() -> None:
    made = fan_out([("none",), ("none",)], 2)
    outputs = made(image(8), torch.ones(2, 1, dtype=torch.float64))
    assert [output.shape for output in outputs] == [(3, CHANNELS, 4, 4)] * 2
    assert not any(output.any() for output in outputs)


def test_merged_layers_begin_as_separate_ones() -> None:
    with seeded(0):
        made = FanOut([DARTS] * 5, 16, 1)
    for operation in made.merged:
        for parameter in operation.parameters():
            bound = parameter[0].numel() ** -0.5  # torch's default: uniform within 1 / sqrt(inputs of an output)
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_a_user_convolution_is_not_mistaken_for_ours() -> None:
    assert not can_merge(f"{__name__}.Doubler", 1)
    with pytest.raises(InputError, match="sep_conv_3x3"):
        FanOut([("sep_conv_3x4",)], CHANNELS, 1)


def test_saved_state_is_whole() -> None:
    operations = [DARTS] * 2
    first = fan_out(operations, 1)
    weights = torch.rand(2, len(DARTS), dtype=torch.float64)
    first(image(8), weights)
    with seeded(1):
        second = FanOut(operations, CHANNELS, 1).double()
    second.load_state_dict(first.state_dict())
    for network in (first, second):
        network.eval()
    torch.testing.assert_close(first(image(8), weights), second(image(8), weights), rtol=0, atol=0)
