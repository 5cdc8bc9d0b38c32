"""When a search ends, and with which epoch's cell: rules on what its epochs brought.

A rule is a function of the lines that stand in `metrics.jsonl`, so it can also be applied to a finished run.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nas_cli.errors import CombinationError, require
from nas_cli.networks.choices import SKIP, CellChoices

#: One line for each epoch of a stage: ``skips_normal``, ``probabilities``, ``eigenvalue`` …; the first also holds
#: ``epochs``, how many there will be at most, ``frozen``, how many of the first leave the architecture as it began, and
#: ``operations``, the names in the columns of the probabilities.
History = Sequence[Mapping[str, Any]]
#: Operations with weights of their own compete in the ranking of criterion 1*.
PARAMETRIC = ("sep_conv", "dil_conv", "nor_conv", "conv_")


@dataclass(frozen=True)
class Stop:
    """The end of a search.

    Args:
        epoch: index in the history of the epoch whose cell is the result.
        weight_decay: where given, this is no end: the search goes on from that epoch with this weight decay.
    """

    epoch: int
    weight_decay: float | None = None


class Stopping(ABC):
    """Whether a search ends after the last epoch of a history.

    A rule sees only epochs that moved the architecture: before, the cell is one of fresh parameters.
    """

    def check(self, diagnostics: Collection[str], choices: CellChoices) -> None:  # noqa: B027  (a hook, not a gap)
        """Raise `CombinationError` where it could never decide, or would decide whatever happens; before any work.

        Args:
            diagnostics: names of what is measured.
            choices: what the supernet leaves open.
        """

    def __call__(self, history: History) -> Stop | None:
        """The decision after the last epoch of a history; None: go on."""
        frozen = _frozen(history)
        stop = self.decide(history[frozen:], history[0]) if len(history) > frozen else None
        return None if stop is None else replace(stop, epoch=stop.epoch + frozen)

    def may_return_to(self, history: History) -> list[int]:
        """Epochs that a search may have to go on from later: their whole state is kept."""
        frozen = _frozen(history)
        return [index + frozen for index in self.returnable(history[frozen:])] if len(history) > frozen else []

    @abstractmethod
    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        """The decision, its epoch counted from the first that moved the architecture.

        Args:
            moved: the epochs that did, at least one.
            first: the first line of the whole history.
        """

    def returnable(self, moved: History) -> list[int]:
        """As `may_return_to`, counted from the first epoch that moved the architecture; none for most."""
        return []


def _frozen(history: History) -> int:
    """How many epochs at the start of a history leave the architecture as it began."""
    return int(history[0].get("frozen", 0))


def most_skips(line: Mapping[str, Any]) -> int:
    """How many skip connections the normal cell has; the one with most, where layers have cells of their own."""
    return max((value for name, value in line.items() if name.startswith("skips_normal")), default=0)


class Epochs(Stopping):
    """A search ends with its last epoch."""

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        return None


class SkipConnects(Stopping):
    """A search ends as soon as its normal cell has too many skip connections (criterion 1).

    Args:
        limit: so many end it. Paper: 2.
        first_epoch: the first, from 0 and after the warm-up, that may end it: a cell derived from fresh parameters has
            two or more skips with probability 0.32. Paper: 0.
    Reference: Liang et al., DARTS+, 2019, arXiv:1909.06035, sec. 3.2.
    """

    def __init__(self, limit: int = 2, first_epoch: int = 2) -> None:
        require(limit >= 1, f"limit must be at least 1, not {limit}")
        require(first_epoch >= 0, f"first_epoch must be at least 0, not {first_epoch}")
        self.limit = limit
        self.first_epoch = first_epoch

    def check(self, diagnostics: Collection[str], choices: CellChoices) -> None:
        normal = [open_ for kind, open_ in choices.items() if kind.startswith("normal")]
        if not any(SKIP in row for open_ in normal for row in open_.operations):
            raise CombinationError(
                f"strategy/stopping=skip_connects: no edge of a normal cell of this space can be a {SKIP}, so it would "
                "never end a search"
            )

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        last = len(moved) - 1
        ends = last >= self.first_epoch and most_skips(moved[-1]) >= self.limit
        return Stop(last) if ends else None


class StableRanking(Stopping):
    """A search ends when the ranking of the operations with weights has not changed for some epochs (criterion 1*).

    The ranking is that of each edge; the paper leaves open whether it is that or the best operation's.

    Args:
        patience: how many epochs in a row must equal the one before. Paper: 10.
        ranking: ``order``: all of an edge's operations with weights, in order; ``best``: only the first of them.
    Reference: Liang et al., DARTS+, 2019, arXiv:1909.06035, sec. 3.2.
    """

    def __init__(self, patience: int = 10, ranking: Literal["order", "best"] = "order") -> None:
        require(patience >= 1, f"patience must be at least 1, not {patience}")
        self.patience = patience
        self.length = None if ranking == "order" else 1

    def check(self, diagnostics: Collection[str], choices: CellChoices) -> None:
        ranked = (sum(name.startswith(PARAMETRIC) for name in row) for c in choices.values() for row in c.operations)
        if max(ranked) < 2:
            raise CombinationError(
                "strategy/stopping=stable_ranking: no edge of this space has two operations with weights to rank, so "
                "it would end every search"
            )

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        recent = [self._ranks(line["probabilities"], first["operations"]) for line in moved[-self.patience - 1 :]]
        stable = len(recent) == self.patience + 1 and all(ranks == recent[0] for ranks in recent)
        return Stop(len(moved) - 1) if stable else None

    def _ranks(self, probabilities: Mapping[str, Any], operations: Mapping[str, Any]) -> list[list[str]]:
        """For each edge of each type of cell its operations with weights, strongest first."""
        return [
            [
                name
                for _, name in sorted(zip(row, names, strict=True), key=lambda pair: -pair[0])
                if name.startswith(PARAMETRIC)
            ][: self.length]
            for kind, rows in probabilities.items()
            for row, names in zip(rows, operations[kind], strict=True)
        ]


class HessianEigenvalue(Stopping):
    """A search ends when the dominant eigenvalue of the validation loss's Hessian rises too fast.

    The eigenvalue is measured every so many epochs (the diagnostic `eigenvalue`); over a window its mean A_n is
    compared with that of some measurements before, A_{n - lag}. Where it has grown by more than `factor`, the result
    is the cell of the epoch in the middle of the earlier window. A last epoch ends nothing.

    Args:
        window, lag: in measurements. Released code: 5, 4.
        factor: of growth. Released code: 1.3 (paper: 1 / 0.75).
        first_epoch: the first, from 0 and after the warm-up, that may be returned. Released code: 10.
        adapt: rather than end, go back to the epoch that would be returned and go on with this many times the weight
            decay (DARTS-ADA; paper: 10), as long as it stays within `largest_weight_decay`; None: end (DARTS-ES).
        largest_weight_decay: paper: 0.03.
    Reference: Zela et al., RobustDARTS, ICLR 2020, arXiv:1909.09656, sec. 4.3 and 5.
    """

    def __init__(
        self,
        window: int = 3,
        lag: int = 2,
        factor: float = 1.3,
        first_epoch: int = 1,
        adapt: float | None = None,
        largest_weight_decay: float = 0.03,
    ) -> None:
        require(window >= 1 and lag >= 1, f"window and lag must be at least 1, not {window} and {lag}")
        require(factor > 0, f"factor must be above 0, not {factor}")
        require(first_epoch >= 0, f"first_epoch must be at least 0, not {first_epoch}")
        require(adapt is None or adapt > 1, f"adapt must be above 1 or null, not {adapt}")
        self.window, self.lag, self.factor, self.first_epoch = window, lag, factor, first_epoch
        self.adapt, self.largest_weight_decay = adapt, largest_weight_decay

    def check(self, diagnostics: Collection[str], choices: CellChoices) -> None:
        if "eigenvalue" not in diagnostics:
            raise CombinationError(
                "strategy/stopping=hessian_eigenvalue: needs the eigenvalue measured; add it to strategy/diagnostics, "
                f"as in strategy/diagnostics=[{','.join([*diagnostics, 'eigenvalue'])}]"
            )

    def returnable(self, moved: History) -> list[int]:
        if self.adapt is None:
            return []
        times, weight_decay = 0, moved[-1]["weight_decay"]
        while (weight_decay := self._raised(weight_decay)) is not None:
            times += 1
        # After a return, the next measurement may lead back again, from there.
        back = self.window // 2 + self.lag
        reach = back + (times - 1) * (back - 1) if times else 0
        measured = _measured(moved)
        return [index for index, _ in measured[max(0, len(measured) - reach) :] if index >= self.first_epoch]

    def decide(self, moved: History, first: Mapping[str, Any]) -> Stop | None:
        measured = _measured(moved)
        last = len(moved) - 1
        if not measured or measured[-1][0] != last or _frozen([first]) + len(moved) == first["epochs"]:
            return None
        back = self.window // 2 + self.lag
        if len(measured) <= back:
            return None
        returned = measured[-1 - back][0]
        values = [value for _, value in measured]
        now, before = self._mean(values), self._mean(values[: len(values) - self.lag])
        # Where a mean is not positive a ratio says nothing.
        if returned < self.first_epoch or before is None or now is None or before <= 0 or now <= self.factor * before:
            return None
        if self.adapt is None:
            return Stop(returned)
        raised = self._raised(moved[last]["weight_decay"])
        return None if raised is None else Stop(returned, raised)

    def _raised(self, weight_decay: float) -> float | None:
        """The next weight decay of DARTS-ADA; None where it may not grow, or, being 0, cannot."""
        raised = (self.adapt or 1.0) * weight_decay
        return raised if weight_decay < raised <= self.largest_weight_decay * (1 + 1e-9) else None

    def _mean(self, values: Sequence[float]) -> float | None:
        """Of the last `window` values; None where there are not yet half as many."""
        if len(values) < math.ceil(self.window / 2):
            return None
        recent = values[-self.window :]
        return sum(recent) / len(recent)


def _measured(moved: History) -> list[tuple[int, float]]:
    """(index, eigenvalue) of the epochs at whose end it was measured."""
    return [(index, line["eigenvalue"]) for index, line in enumerate(moved) if "eigenvalue" in line]
