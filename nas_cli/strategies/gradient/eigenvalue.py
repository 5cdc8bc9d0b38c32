"""The curvature of the validation loss in the architecture: its dominant eigenvalue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from nas_cli.errors import require
from nas_cli.networks.choices import Nodes
from nas_cli.strategies.gradient.diagnostics import Diagnostic
from nas_cli.strategies.gradient.relaxation import Relaxation

#: From a vector to the Hessian's product with it.
Product = Callable[[Tensor], Tensor]


class DominantEigenvalue(Diagnostic):
    """The largest algebraic eigenvalue of ∇²_αα L_val(w, α) on one random held-out batch, in training mode.

    Products with the Hessian are exact, by double backward; the running statistics of the supernet do not move.
    Reported as ``eigenvalue``.

    Args:
        every: epochs. Released code: 2.
        method: ``dense``: one product for each architecture parameter, then all eigenvalues; ``lanczos``: a few
            products.
        products: at most so many of them for ``lanczos``.
    Reference: Zela et al., RobustDARTS, ICLR 2020, arXiv:1909.09656, sec. 4. Released code adds the parameters' weight
        decay to every eigenvalue; this does not.
    """

    def __init__(self, every: int = 1, method: Literal["dense", "lanczos"] = "lanczos", products: int = 10) -> None:
        super().__init__(every)
        require(products >= 1, f"products must be at least 1, not {products}")
        self.method = method
        self.products = products

    def measure(self, relaxation: Relaxation, cells: Mapping[str, Nodes]) -> dict[str, Any]:
        product, size = hessian(relaxation)
        if self.method == "dense":
            return {"eigenvalue": float(torch.linalg.eigvalsh(dense(product, size))[-1])}
        return {"eigenvalue": lanczos(product, size, self.products)}


def hessian(relaxation: Relaxation) -> tuple[Product, int]:
    """The Hessian of the loss on one random batch in all architecture parameters, as a product and its size."""
    shared, parameters = relaxation.shared, list(relaxation.parameters.values())
    shared.network.train()
    buffers = {name: buffer.clone() for name, buffer in shared.network.named_buffers()}
    weights = {name: value.detach() for name, value in shared.network.named_parameters()}
    loss = shared.loss(shared.probe_batch(), relaxation.weights(), {**weights, **buffers}, full_precision=True)
    gradient = _flat(torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True))

    def product(vector: Tensor) -> Tensor:
        found = torch.autograd.grad(
            gradient, parameters, vector.to(gradient), retain_graph=True, materialize_grads=True
        )
        return _flat(found).detach().to(vector)

    return product, len(gradient)


def dense(product: Product, size: int) -> Tensor:
    """The symmetric matrix (size, size) of a product, in float64."""
    columns = torch.stack([product(row) for row in torch.eye(size, dtype=torch.float64)])
    return (columns + columns.T) / 2


def lanczos(product: Product, size: int, steps: int) -> float:
    """The largest algebraic eigenvalue of a symmetric product: of its matrix in a Krylov space, orthogonalised twice.

    The start comes from torch's current generator. Exact after `size` steps, sooner where the spectrum is simple.
    Reference: Golub & Van Loan, Matrix Computations, 4th ed., sec. 10.1 and 10.3.
    """
    start = torch.randn(size, dtype=torch.float64)
    basis = [start / start.norm()]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(min(steps, size)):
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        known = torch.stack(basis)
        for _ in range(2):
            image = image - known.T @ (known @ image)
        length = float(image.norm())
        if length < 1e-10 * max(map(abs, diagonal)) or len(diagonal) == size:
            break
        off.append(length)
        basis.append(image / length)
    off = off[: len(diagonal) - 1]
    tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    tridiagonal += torch.diag(torch.tensor(off, dtype=torch.float64), 1) + torch.diag(
        torch.tensor(off, dtype=torch.float64), -1
    )
    return float(torch.linalg.eigvalsh(tridiagonal)[-1])


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
