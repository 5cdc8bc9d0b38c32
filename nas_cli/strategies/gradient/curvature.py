"""The diagonal of the Hessian of the loss in the switches of a supernet, two ways.

`recursive` goes back through the layers with diagonals alone: through a linear map of weights W a diagonal h goes back
as (W∘W)ᵀ h. That is a backward pass whose Jacobians are squared. Those of ReLU, max-pooling, concatenation, sums and
slices hold only zeros and ones, so autograd has their part right as it is; the other layers get a hook.

Reference: Zhou, Yang, Wang, Pan, BayesNAS, ICML 2019, arXiv:1905.04919, sec. 4.2 and the supplement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_cli.errors import CombinationError
from nas_cli.networks.drop_path import DropPath
from nas_cli.networks.operations import Noise, Zero
from nas_cli.networks.switched import Switch

#: From (supernet, images, weights by type of cell) to the diagonal, of the shapes of the weights.
Curvature = Callable[[nn.Module, Tensor, Mapping[str, Tensor]], dict[str, Tensor]]


def recursive(network: nn.Module, images: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean over the images of the diagonals that the recursion gives, from h(z_c) = p_c (1 - p_c) at the logits.

    Off-diagonal curvature between the elements of a layer is left out.

    Args:
        network: in evaluation mode, of layers that `check_layers` lets pass.
    Shape:
        images: (batch, channels, height, width); weights and the return: (cells of the type, edges, columns)
    """
    leaves = {kind: rows.detach().requires_grad_() for kind, rows in weights.items()}
    with squared_jacobians(network):
        logits = network.forward(images, leaves)  # the plain call: a compiled one would not see the hooks
    p = logits.detach().softmax(dim=-1)
    found = _slopes(logits, leaves, p * (1 - p) / len(images))
    return dict(zip(leaves, found, strict=True))


def fisher(network: nn.Module, images: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean over the images of Σ_c p_c (∂ log p_c / ∂s)²: the diagonal of Fisher's matrix, which is Gauss-Newton's.

    Every image has switches of its own, so that one backward pass for each class gives the slopes of all images.

    Args, shape: as `recursive`, of any layers.
    """
    leaves = {
        kind: rows.detach()[..., None].repeat(*[1] * rows.dim(), len(images)).requires_grad_()
        for kind, rows in weights.items()
    }
    log_p = network.forward(images, leaves).log_softmax(dim=-1)
    found = [torch.zeros_like(rows, requires_grad=False) for rows in weights.values()]
    for of_class in log_p.unbind(dim=-1):
        p = of_class.detach().exp()
        for total, slope in zip(found, _slopes(of_class, leaves, torch.ones_like(p)), strict=True):
            total += (p * slope.square()).mean(dim=-1)
    return dict(zip(leaves, found, strict=True))


def _slopes(outputs: Tensor, leaves: Mapping[str, Tensor], seeds: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        outputs, list(leaves.values()), seeds, retain_graph=True, allow_unused=True, materialize_grads=True
    )


@contextmanager
def squared_jacobians(network: nn.Module) -> Iterator[None]:
    """Within, a forward pass gives the same values, and a backward pass through it has squared Jacobians.

    So a diagonal Hessian that is put in as the gradient at the output arrives as that at the inputs, and at the
    weights of linear layers and convolutions.
    """
    hooks = [
        module.register_forward_hook(_hook(kind, carry))
        for module in network.modules()
        for kind, carry in _CARRIES.items()
        if isinstance(module, kind)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_layers(network: nn.Module) -> None:
    """Raise `CombinationError` unless the recursion knows all layers, as far as modules show them."""
    for name, module in network.named_modules():
        known = isinstance(module, (*_CARRIES, *_ZEROS_AND_ONES)) or any(True for _ in module.children())
        if not known:
            raise CombinationError(
                f"strategy.regularisers.ard.hessian=recursive does not know the layer {type(module).__name__} "
                f"({name}); hessian=fisher takes any"
            )


def _hook(kind: type[nn.Module], carry: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def squared(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        slope = carry(module, *inputs)
        return slope + (output - slope).detach()  # the value of the one, the gradient of the other

    return squared


def _bilinear(product: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """What has the gradients of a product of two factors, with the other factor squared."""
    return product(a, b.detach().square()) + product(a.detach().square(), b)


def _linear(module: nn.Linear, x: Tensor) -> Tensor:
    return _bilinear(F.linear, x, module.weight)


def _convolution(module: nn.Conv2d, x: Tensor) -> Tensor:
    def convolved(image: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(image, weight, None, module.stride, module.padding, module.dilation, module.groups)

    return _bilinear(convolved, x, module.weight)


def _normalisation(module: nn.BatchNorm2d, x: Tensor) -> Tensor:
    scale = 1 / (cast(Tensor, module.running_var) + module.eps)
    if module.affine:
        scale = scale * module.weight.detach().square()
    return x * scale[:, None, None]


def _average(module: nn.AvgPool2d, x: Tensor) -> Tensor:
    # Each pixel of a window weighs 1/d in the mean; d is less than the window's size where the border is not counted.
    ones = torch.ones_like(x[:1, :1], requires_grad=False)
    members = F.avg_pool2d(ones, module.kernel_size, module.stride, module.padding, divisor_override=1)
    divisor = members / module.forward(ones)
    return module.forward(x) / divisor


def _global_average(module: nn.AdaptiveAvgPool2d, x: Tensor) -> Tensor:
    return x.sum(dim=(2, 3), keepdim=True) / (x.shape[2] * x.shape[3]) ** 2


def _switch(module: Switch, x: Tensor, value: Tensor) -> Tensor:
    return _bilinear(module.forward, x, value)


_CARRIES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _normalisation,
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _global_average,  # to one pixel, as classifiers have it
    Switch: _switch,
}
# Dropout does nothing in evaluation mode, and containers nothing at all.
_ZEROS_AND_ONES = (
    *(nn.ReLU, nn.MaxPool2d, nn.Identity, nn.Flatten, nn.Dropout, DropPath, Zero, Noise),
    *(nn.Sequential, nn.ModuleList),
)
