"""Operations: shapes, parameters (systems sheet, section 8), and values by hand (section 2.6, 9 and 11)."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.networks.operations import OPERATIONS, FactorizedReduce, ReLUConvBN, check_sides, make_operation
from nas_cli.seeding import seeded

# name -> parameters in search (C = 16, no affine) and in evaluation (C = 36, affine), stride 1.
PARAMETERS = {
    "none": (0, 0),
    "max_pool_3x3": (0, 0),
    "avg_pool_3x3": (0, 0),
    "skip_connect": (0, 0),
    "noise": (0, 0),
    "sep_conv_3x3": (800, 3_384),
    "sep_conv_5x5": (1_312, 4_536),
    "sep_conv_7x7": (2_080, 6_264),
    "dil_conv_3x3": (400, 1_692),
    "dil_conv_5x5": (656, 2_268),
    "conv_7x1_1x7": (3_584, 18_216),
    # By hand: C^2 k^2 and a bias of C in search; C^2 k^2 and an affine normalisation of 2 C in evaluation.
    "nor_conv_1x1": (16 * 16 + 16, 36 * 36 + 72),
    "nor_conv_3x3": (9 * 16 * 16 + 16, 9 * 36 * 36 + 72),
}


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_operation_has_a_reference_count() -> None:
    assert set(PARAMETERS) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_in_search_and_evaluation(name: str) -> None:
    search, evaluation = make_operation(name, 16, 1, False), make_operation(name, 36, 1, True)
    assert (parameters(search), parameters(evaluation)) == PARAMETERS[name]


def test_parameters_of_a_strided_skip() -> None:
    assert parameters(make_operation("skip_connect", 16, 2, False)) == 256
    assert parameters(make_operation("skip_connect", 36, 2, True)) == 1_368


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("affine", [False, True])
def test_stride_one_keeps_the_side_and_stride_two_halves_it(name: str, affine: bool) -> None:
    with seeded(0):
        x = torch.randn(2, 4, 8, 8)
        assert make_operation(name, 4, 1, affine)(x).shape == (2, 4, 8, 8)
        assert make_operation(name, 4, 2, affine)(x).shape == (2, 4, 4, 4)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_do_not_write_into_their_input(name: str) -> None:
    with seeded(0):
        x = torch.randn(2, 4, 8, 8)
        before = x.clone()
        make_operation(name, 4, 1, True)(x)
        make_operation(name, 4, 2, True)(x)
    assert torch.equal(x, before)


def test_factorized_reduce_takes_both_diagonals() -> None:
    module = FactorizedReduce(1, 2, affine=False)
    nn.init.ones_(module.first.weight)
    nn.init.ones_(module.second.weight)
    module.norm = nn.Identity()  # type: ignore[assignment]
    output = module(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert output.flatten().tolist() == [0, 2, 8, 10, 5, 7, 13, 15]


def test_factorized_reduce_starts_with_a_relu() -> None:
    module = FactorizedReduce(3, 4).eval()
    assert torch.equal(module(-torch.rand(1, 3, 4, 4)), torch.zeros(1, 4, 2, 2))


@pytest.mark.parametrize("side", [(5, 4), (4, 7), (7, 7)])
def test_factorized_reduce_makes_odd_sides_even_with_zeros(side: tuple[int, int]) -> None:
    with seeded(0):
        module, x = FactorizedReduce(2, 2), torch.randn(3, 2, *side)
    larger = torch.zeros(3, 2, *(length + length % 2 for length in side))
    larger[:, :, : side[0], : side[1]] = x
    output = module(x)
    assert output.shape[2:] == tuple((length + 1) // 2 for length in side)
    assert torch.equal(output, module(larger))


def test_factorized_reduce_refuses_odd_channels() -> None:
    with pytest.raises(InputError, match="not 3"):
        FactorizedReduce(4, 3)


@pytest.mark.parametrize("stride", [1, 2])
def test_average_pool_leaves_padding_out_of_the_mean(stride: int) -> None:
    output = make_operation("avg_pool_3x3", 1, stride, False)(torch.ones(1, 1, 4, 4))
    assert torch.equal(output, torch.ones_like(output))


def test_max_pool_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert make_operation("max_pool_3x3", 1, 2, False)(x).flatten().tolist() == [5, 7, 13, 15]


@pytest.mark.parametrize(("name", "reach"), [("dil_conv_3x3", 2), ("dil_conv_5x5", 4), ("nor_conv_3x3", 1)])
def test_reach_of_a_convolution(name: str, reach: int) -> None:
    with seeded(0):
        operation = make_operation(name, 2, 1, True).eval()
        x = torch.ones(1, 2, 15, 15, requires_grad=True)
        operation(x)[0, :, 7, 7].sum().backward()
    rows = x.grad[0].abs().sum(0).sum(1).nonzero().flatten()  # type: ignore[index]
    step = 2 if name.startswith("dil") else 1
    assert rows.tolist() == list(range(7 - reach, 8 + reach, step))


def test_separable_convolution_has_its_stride_once_and_dilated_its_dilation() -> None:
    strides = [m.stride for m in make_operation("sep_conv_5x5", 4, 2, True).modules() if isinstance(m, nn.Conv2d)]
    assert strides == [(2, 2), (1, 1), (1, 1), (1, 1)]
    depthwise = make_operation("dil_conv_5x5", 4, 2, True)[1]  # type: ignore[index]
    assert (depthwise.dilation, depthwise.padding, depthwise.groups) == ((2, 2), (4, 4), 4)


def test_none_is_zero_and_stays_differentiable() -> None:
    x = torch.ones(1, 2, 4, 4, requires_grad=True)
    output = make_operation("none", 2, 2, False)(x)
    output.sum().backward()
    assert not output.any()
    assert not x.grad.any()  # type: ignore[union-attr]


def test_noise_is_fresh_normal_and_ignores_its_input() -> None:
    noise = make_operation("noise", 8, 2, False).eval()
    x = torch.full((16, 8, 16, 16), 5.0, requires_grad=True)
    with seeded(3):
        first, second = noise(x), noise(x)
    with seeded(3):
        again = noise(torch.zeros_like(x))
    assert not first.requires_grad
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    # 8,192 draws: five standard errors of the mean are 0.055, of the deviation 0.039.
    assert abs(first.mean().item()) < 0.055
    assert abs(first.std().item() - 1) < 0.039


def test_relu_conv_bn_keeps_the_side() -> None:
    assert ReLUConvBN(3, 5, kernel=3)(torch.zeros(2, 3, 6, 6)).shape == (2, 5, 6, 6)


class Own(nn.Module):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.arguments = (channels, stride, affine)

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_dotted_name_makes_a_users_own_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("my_operations")
    module.Own = Own  # type: ignore[attr-defined]
    module.number = 3  # type: ignore[attr-defined]
    module.function = lambda channels, stride, affine: "no module"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_operations", module)
    own = make_operation("my_operations.Own", 8, 2, True)
    assert isinstance(own, Own)
    assert own.arguments == (8, 2, True)
    for name in ("my_operations.number", "my_operations.function"):
        with pytest.raises(InputError, match=r"torch\.nn\.Module"):
            make_operation(name, 8, 2, True)
    with pytest.raises(InputError, match="did you mean Own"):
        make_operation("my_operations.Owm", 8, 2, True)


@pytest.mark.parametrize(
    ("name", "says"),
    [("sep_conv_3x4", r"did you mean sep_conv_3x3\?"), ("", "is not one of"), ("no_such_module.Conv", "imported")],
)
def test_unknown_operation_is_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_operation(name, 8, 1, True)


def test_sides_that_cannot_be_halved_are_refused() -> None:
    check_sides((3, 32, 28), 2)
    for shape in [(3, 30, 32), (3, 32, 6), (3, 0, 0)]:
        with pytest.raises(InputError, match=f"{shape[1]}x{shape[2]}"):
            check_sides(shape, 2)
