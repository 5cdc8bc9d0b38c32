"""What the commands print when a run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def summary(data: Mapping[str, Any], description: str, folder: Path, next_command: str | None) -> str:
    """The end-of-run summary.

    Args:
        data: the content of `result.json`.
        description: the architecture in text.
        folder: where the files are.
        next_command: what a person would run next.
    """
    counted = "1 evaluation" if data["evaluations"] == 1 else f"{data['evaluations']} evaluations"
    lines = [
        "",
        f"Finished in {data['wall_seconds']:.0f} s ({counted}, {data['device']}).",
        f"Best of space {data['space']}:" if data["command"] == "search" else f"Trained on {data['dataset']}:",
        *(f"  {line}" for line in description.splitlines()),
        "",
        *(f"  {name.replace('_', ' ')}: {show(name, value)}" for name, value in _figures(data)),
        "",
        f"Files: {folder}/",
        *(
            f"  {name}"
            for name in ("result.json", "architecture.json", "architecture.svg", "report.html")
            if (folder / name).exists()
        ),
    ]
    if next_command:
        lines += ["", f"Next: {next_command}"]
    return "\n".join(lines)


def _figures(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    best = data["best"]
    figures = {data["score"]: best["score"], **best["metrics"]}
    return [(name, value) for name, value in figures.items() if value is not None]


def show(name: str, value: Any) -> str:
    """A figure for a person: accuracies and errors in percent, counts in millions."""
    if "accuracy" in name or name.endswith("error"):
        return f"{100 * value:.2f} %"
    if name.startswith(("params", "macs")):
        return f"{value:,} ({value / 1e6:.2f} M)"
    return f"{value:.6g}"
