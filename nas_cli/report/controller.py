"""How a controller learnt: the rewards of its batches, its entropy, and how far its updates went."""

from __future__ import annotations

from nas_cli.report.chart import Chart, Line, Point
from nas_cli.report.trace import Trace, number

EVALUATIONS = "evaluations"
REWARDS, ENTROPY, RATIOS = "Rewards", "Entropy of the policy", "Ratio of probabilities"
ENTROPY_NOTE = "Of the whole sequence; at 0 the controller always writes the same one."


def controller_charts(trace: Trace) -> list[Chart]:
    """The charts of a controller's updates; none where there are none."""
    rewards = [Line("mean reward of a batch", of_updates(trace, "reward"), 0, faint=True)]
    rewards.append(Line("baseline", of_updates(trace, "baseline"), 1))
    ratios = [Line("mean ratio", of_updates(trace, "ratio"), 0)]
    ratios.append(Line("share beyond the clip", of_updates(trace, "clipped"), 1, dashed=True))
    charts = [
        Chart(REWARDS, EVALUATIONS, "reward", rewards),
        Chart(
            ENTROPY,
            EVALUATIONS,
            "entropy, nats",
            [Line("entropy", of_updates(trace, "entropy"), 0)],
            note=ENTROPY_NOTE,
            zero=True,
        ),
        Chart(
            RATIOS,
            EVALUATIONS,
            "ratio, share",
            ratios,
            levels=[(1.0, "the policy that sampled")],
            note="After the last epoch of each update of PPO.",
            zero=True,
        ),
    ]
    return [chart for chart in charts if any(line.points for line in chart.lines)]


def of_updates(trace: Trace, name: str) -> list[Point]:
    """(evaluations, value) of the updates that have one."""
    pairs = ((number(line.get("evaluations")), number(line.get(name))) for line in trace.updates)
    return [(x, value) for x, value in pairs if x is not None and value is not None]
