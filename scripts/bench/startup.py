"""What `nas-run` costs before it works: help, the composed configuration and refusals, against an empty Hydra app.

    python scripts/bench/startup.py [--repeats 9]

The empty app has three groups of two choices. All commands run in turn, again and again; CPU seconds of each whole
process, their median and spread, and the ratio of the medians to the empty app's. The goal is at most 1.3.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

APP = """
import hydra

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    pass

main()
"""
COMMANDS = {
    "--help": ["--help"],
    "--cfg job": ["--cfg", "job"],
    "a misspelt key": ["stratgy=darts"],
    "a misspelt name": ["strategy=drats"],
    "a wrong type": ["strategy=darts", "strategy.epochs=ten"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for group in ("a", "b", "c"):
            (folder / "conf" / group).mkdir(parents=True)
            for number, choice in enumerate(("one", "two")):
                (folder / "conf" / group / f"{choice}.yaml").write_text(f"x: {number}\n")
        (folder / "conf" / "config.yaml").write_text("defaults: [{a: one}, {b: one}, {c: one}, _self_]\n")
        (folder / "app.py").write_text(APP)
        sides = {f"empty app {flags}": ["app.py", *flags.split()] for flags in ("--cfg job", "--help")}
        sides |= {f"nas-run {name}": ["-m", "nas_cli", *arguments] for name, arguments in COMMANDS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(repeats + 1):  # the first is a warm-up
            for name, arguments in sides.items():
                spent = cpu_seconds([sys.executable, *arguments], folder)
                if repeat:
                    seconds[name].append(spent)
    print(f"CPU seconds of the whole process, {repeats} runs each, in turn; Python {sys.version.split()[0]}")
    print(f"{'':28} {'median':>7} {'min':>6} {'max':>6}  ratio to the empty app's --cfg job, --help")
    bases = [statistics.median(values) for name, values in seconds.items() if name.startswith("empty")]
    for name, values in seconds.items():
        median = statistics.median(values)
        ratios = ", ".join(f"{median / base:.2f}" for base in bases)
        print(f"{name:28} {median:7.3f} {min(values):6.3f} {max(values):6.3f}  {ratios}")


def cpu_seconds(arguments: list[str], folder: Path) -> float:
    """User and system time of a process and its children."""
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
