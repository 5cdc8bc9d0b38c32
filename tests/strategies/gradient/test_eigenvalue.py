"""The dominant eigenvalue (systems sheet, section 6.5)."""

from __future__ import annotations

import pytest
import torch
from made_up import CPU, MadeUp, space
from torch import Tensor, nn

from nas_cli.errors import InputError
from nas_cli.estimators.shared_images import SharedImageWeights
from nas_cli.seeding import seeded
from nas_cli.strategies.gradient.eigenvalue import DominantEigenvalue, dense, hessian, lanczos
from nas_cli.strategies.gradient.mixing import Softmax
from nas_cli.strategies.gradient.optimizers import Adam
from nas_cli.strategies.gradient.relaxation import Relaxation


def relaxation() -> Relaxation:
    """A tiny supernet in float64."""
    shared = SharedImageWeights(space(), MadeUp(), CPU, 0, batch_size=8)
    mixing = Softmax(initial_scale=0.5)
    shared.begin(mixing.fan_out, 1)
    shared.network.double()
    with seeded(0):
        made = Relaxation(shared, mixing, shared.space.choices, [], Adam(), None)
    made.parameters = {name: value.detach().double().requires_grad_() for name, value in made.parameters.items()}
    images, labels = shared.probe_batch()
    shared.probe_batch = lambda: (images.double(), labels)  # type: ignore[method-assign]
    return made


def of_matrix(matrix: Tensor) -> tuple[object, int]:
    return (lambda vector: matrix @ vector), len(matrix)


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_it_is_the_largest_algebraic_one(method: str) -> None:
    matrix = torch.tensor([[2.0, 1.0], [1.0, -3.0]], dtype=torch.float64)  # -3.19 is larger in magnitude
    product, size = of_matrix(matrix)
    with seeded(0):
        found = torch.linalg.eigvalsh(dense(product, size))[-1] if method == "dense" else lanczos(product, size, 5)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(2.192582, abs=1e-6)


def test_softmax_problem_of_the_sheet() -> None:
    costs = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found = torch.autograd.functional.hessian(
        lambda a: 0.5 * (costs @ a.softmax(0)) ** 2, torch.zeros(3, dtype=torch.float64)
    )
    expected = torch.tensor([[-1.0, 2.0, -1.0], [2.0, 0.0, -2.0], [-1.0, -2.0, 3.0]], dtype=torch.float64) / 9
    assert torch.allclose(found, expected)
    with seeded(0):
        assert lanczos(lambda vector: found @ vector, 3, 10) == pytest.approx(0.511728, abs=1e-6)


def test_lanczos_of_a_random_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(40, 40, generator=generator, dtype=torch.float64)
    matrix = matrix + matrix.T
    with seeded(0):
        assert lanczos(lambda vector: matrix @ vector, 40, 40) == pytest.approx(
            float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-9
        )


class TestOnASupernet:
    def test_the_hessian_is_autograds_symmetric_and_blind_to_shifts_of_a_row(self) -> None:
        made = relaxation()
        for module in made.shared.network.modules():  # where kinks are not, differences see what derivatives see
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(module, name, nn.Softplus())
        product, size = hessian(made)
        assert size == 2 * 5 * 4
        columns = torch.stack([product(row) for row in torch.eye(size, dtype=torch.float64)])
        assert torch.allclose(columns, columns.T, atol=1e-10)
        for row in range(0, size, 4):
            shift = torch.zeros(size, dtype=torch.float64)
            shift[row : row + 4] = 1
            assert product(shift).abs().max() < 1e-10

    def test_dense_and_lanczos_agree(self) -> None:
        made = relaxation()
        with seeded(3):
            exact = DominantEigenvalue(method="dense").measure(made, {})["eigenvalue"]
        with seeded(3):
            close = DominantEigenvalue(method="lanczos", products=40).measure(made, {})["eigenvalue"]
        assert exact > 0
        assert close == pytest.approx(exact, rel=1e-6)

    def test_nothing_moves(self) -> None:
        made = relaxation()
        before = {name: value.clone() for name, value in made.shared.network.state_dict().items()}
        with seeded(0):
            DominantEigenvalue().measure(made, {})
        assert all(torch.equal(value, before[name]) for name, value in made.shared.network.state_dict().items())
        assert all(value.grad is None for value in [*made.parameters.values(), *made.shared.network.parameters()])


def test_ranges() -> None:
    with pytest.raises(InputError, match="products must be at least 1, not 0"):
        DominantEigenvalue(products=0)
    with pytest.raises(InputError, match="every must be at least 1, not 0"):
        DominantEigenvalue(every=0)
