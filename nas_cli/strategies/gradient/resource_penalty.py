"""A price on what the cells of an architecture cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from nas_cli.errors import CombinationError, require
from nas_cli.estimators.shared_weights import EdgeWeights, SharedWeights
from nas_cli.networks.choices import CellChoices
from nas_cli.networks.resources import Resources, resources
from nas_cli.strategies.gradient.mixing import Mixing, Progress
from nas_cli.strategies.gradient.regularisers import Regulariser
from nas_cli.strategies.gradient.switches import Switches

if TYPE_CHECKING:
    from nas_cli.strategies.gradient.relaxation import Relaxation

#: What a plain sum weighs the three costs with (released code).
SCALE = {"params": 0.43 * 2, "macs": 0.43 / 4000, "memory": 0.43 / 100}


class ResourcePenalty(Regulariser):
    """η times the expected cost of the cells, which is a sum over their edges.

    A cell of every type counts once: its cost is the mean over the cells of that type.

    Args:
        eta: η. Released code: 1e-2 with logarithms, 1e-5 to 1e-4 without. Ours for the paper's three levels: 1e-3
            (mild), 1e-2 (moderate), 3e-2 (aggressive); its own values are not published.
        method: which expectation. ``closed_form``: under the probabilities, without variance; ``reparametrization``:
            under the drawn edge weights, whose gradient passes; ``policy_gradient``: the drawn cost as a constant times
            the log density of the draw.
        combine: ``log``: the mean of the logarithms of an edge's costs, each at least 1; ``plain``: their weighted sum.
        counted: which of params, macs and memory accesses.
        baseline: whether ``policy_gradient`` takes the mean price of an operation off.
    Reference: Xie, Zheng, Liu, Lin, SNAS, ICLR 2019, arXiv:1812.09926, sec. 2.4.
    """

    def __init__(
        self,
        eta: float = 1e-3,
        method: Literal["closed_form", "reparametrization", "policy_gradient"] = "closed_form",
        combine: Literal["log", "plain"] = "log",
        counted: Sequence[Literal["params", "macs", "memory"]] = ("params", "macs", "memory"),
        baseline: bool = False,
    ) -> None:
        require(eta >= 0, f"eta must be at least 0, not {eta}")
        require(
            bool(counted) and len(set(counted)) == len(counted),
            f"counted must name costs, none twice, not {list(counted)}",
        )
        self.eta = eta
        self.method = method
        self.combine = combine
        self.counted = tuple(counted)
        self.baseline = baseline
        self._costs: tuple[nn.Module, dict[str, Tensor]] | None = None  # of which supernet

    def check(self, mixing: Mixing, shared: SharedWeights) -> None:
        if self.method == "policy_gradient" and type(mixing).log_probability is Mixing.log_probability:
            raise CombinationError(
                f"resource.method=policy_gradient: {type(mixing).__name__} draws no edge weights; take closed_form"
            )
        if isinstance(mixing, Switches):
            raise CombinationError(
                "strategy/regularisers=resource: weighs operations that exclude each other; switches do not"
            )
        for choices in shared.space.choices.values():
            for row in choices.operations:
                for name in row:
                    resources(name, 2, 1, 1)  # raises for one whose costs are not known

    def penalty(self, relaxation: Relaxation, weights: EdgeWeights) -> Tensor:
        costs = self.costs(relaxation)
        if self.method == "closed_form":
            weights = relaxation.mixing.probabilities(relaxation.values)
        prices = {kind: self.price(weights[kind], costs[kind]) for kind in costs}
        if self.method == "policy_gradient":
            score = relaxation.mixing.log_probability(relaxation.values, weights)
            level = self._level(costs) if self.baseline else 0.0
            prices = {kind: score[kind] * (price.detach() - level) for kind, price in prices.items()}
        # Layers with a type of their own share what their type would have had.
        layers = Counter(kind.partition("_")[0] for kind in costs)
        shares = [price.sum() / layers[kind.partition("_")[0]] for kind, price in prices.items()]
        return self.eta * torch.stack(shares).sum()

    def _level(self, costs: Mapping[str, Tensor]) -> Tensor:
        """The mean price of an operation over all edges: no draw is in it, so it does not bias the gradient."""
        return torch.cat([self._combined(table).flatten() for table in costs.values()]).mean()

    def price(self, weights: Tensor, costs: Tensor) -> Tensor:
        """The cost of each edge, (edges,), mean over the cells.

        Args:
            weights: (edges, operations), and perhaps columns after these.
            costs: (cells, edges, operations, resources).
        """
        return self._combined(torch.einsum("ek,cekr->cer", weights[:, : costs.shape[2]], costs)).mean(dim=0)

    def _combined(self, costs: Tensor) -> Tensor:
        """(…, resources) -> (…)"""
        if self.combine == "log":
            return costs.clamp(min=1).log().mean(dim=-1)
        return costs @ costs.new_tensor([SCALE[name] for name in self.counted])

    def costs(self, relaxation: Relaxation) -> dict[str, Tensor]:
        """For each type of cell (cells, edges, operations, counted resources)."""
        network = relaxation.shared.network
        if self._costs is None or self._costs[0] is not network:
            columns = [Resources._fields.index(name) for name in self.counted]
            whole = all_costs(network, relaxation.choices)
            like = next(iter(relaxation.parameters.values()))
            self._costs = network, {kind: table[..., columns].to(like) for kind, table in whole.items()}
        return self._costs[1]

    def end_epoch(self, relaxation: Relaxation, progress: Progress) -> dict[str, float]:
        """Expected cost of all cells under the probabilities."""
        probabilities = relaxation.probabilities()
        costs = self.costs(relaxation)
        totals = sum(torch.einsum("ek,cekr->r", probabilities[kind], costs[kind]) for kind in costs)
        assert isinstance(totals, Tensor)
        return {f"expected_{name}": value for name, value in zip(self.counted, totals.tolist(), strict=True)}


def all_costs(network: nn.Module, choices: CellChoices) -> Mapping[str, Tensor]:
    """For each type of cell (cells, edges, operations, 3) of a supernet, which has `sites`.

    Raises `CombinationError` for one without.
    """
    sites = getattr(network, "sites", None)
    if not sites:
        raise CombinationError("this supernet does not say where its cells stand, which a resource penalty needs")
    tables: dict[str, list[Tensor]] = {}
    for site in sites:
        rows = zip(choices[site.kind].operations, site.strides, strict=True)
        table = [[resources(name, site.channels, site.pixels, stride) for name in row] for row, stride in rows]
        tables.setdefault(site.kind, []).append(torch.tensor(table, dtype=torch.float64))
    return {kind: torch.stack(found) for kind, found in tables.items()}
