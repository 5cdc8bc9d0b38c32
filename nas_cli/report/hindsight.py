"""What the stopping rule of DARTS+ would have made of a search that went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_cli.report.runs import Run
from nas_cli.report.trace import Epoch, Trace
from nas_cli.strategies.gradient.stopping import SkipConnects, most_skips

#: The paper's limit; from the third epoch on, since a cell of fresh parameters has as many with probability 0.32.
RULE = SkipConnects(limit=2, first_epoch=2)
SKIPS = "skips_normal"
SCORES = ("valid_accuracy", "valid_perplexity")


@dataclass(frozen=True)
class Hindsight:
    """A finished search beside the one that DARTS+ would have ended earlier.

    Args:
        chosen: the epoch of the last stage at which it would have ended; None: it would have gone on to the end.
        final: the epoch whose cell is the run's result.
        epochs: how many there were.
    """

    chosen: Epoch | None
    final: Epoch
    epochs: int


def hindsight(run: Run, trace: Trace) -> Hindsight | None:
    """What DARTS+ would have chosen; None for a run that counts no skip connections of a normal cell.

    Reference: Liang et al., DARTS+, 2019, arXiv:1909.06035, sec. 3.2, criterion 1.
    """
    final = final_epoch(run, trace)
    if final is None or not _counts(final):
        return None
    last = trace.stage(trace.epochs[-1].stage)
    return Hindsight(_stop(last), final, trace.epochs[-1].x)


def _stop(epochs: Sequence[Epoch]) -> Epoch | None:
    history: list[dict[str, float]] = []
    for epoch in epochs:
        history.append({**_counts(epoch), "frozen": epoch.number("frozen") or 0})
        if stop := RULE(history):
            return epochs[stop.epoch]
    return None


def _counts(epoch: Epoch) -> dict[str, float]:
    """The numbers of skip connections in normal cells: one, or one for each layer."""
    named = ((name, epoch.number(name)) for name in epoch.line if name.startswith(SKIPS))
    return {name: count for name, count in named if count is not None}


def final_epoch(run: Run, trace: Trace) -> Epoch | None:
    """The epoch whose cell is the result, which need not be the last; None where there is no epoch with a cell."""
    with_cells = [epoch for epoch in trace.epochs if "architecture" in epoch.line]
    if not with_cells:
        return None
    last = [epoch for epoch in with_cells if epoch.stage == with_cells[-1].stage]
    if ended := run.metrics.get("epochs"):
        return next((epoch for epoch in last if epoch.index + 1 == ended), last[-1])
    return last[-1]


def told(found: Hindsight) -> str:
    """The same in one line."""
    own = f"the run chose epoch {found.final.x} ({_cell(found.final)})"
    if found.chosen is None:
        return f"no early end in {found.epochs} epochs; {own}"
    return f"epoch {found.chosen.x} of {found.epochs} ({_cell(found.chosen)}); {own}"


def _cell(epoch: Epoch) -> str:
    skips = int(most_skips(_counts(epoch)))
    parts = [f"{skips} skip{'' if skips == 1 else 's'}"]
    accuracy, perplexity = (epoch.number(name) for name in SCORES)
    if accuracy is not None:
        parts.append(f"valid accuracy {100 * accuracy:.2f} %")
    elif perplexity is not None:
        parts.append(f"valid perplexity {perplexity:.4g}")
    return ", ".join(parts)
