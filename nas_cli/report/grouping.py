"""Which runs differ in nothing but their seeds, and what tells such groups apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_cli.report.options import flatten
from nas_cli.report.runs import Run

NAMES = ("label", "command", "strategy", "space", "dataset", "estimator", "architecture")
#: What may differ between the runs of a group, and what their names say already (an architecture may be given by its
#: name or as a file).
ASIDE = ("seed", "hardware", "checkpoint_seconds", "config_dir", "run", "command", "architecture")
NO_CONFIG = "no config.yaml"

Names = tuple[str | None, ...]
Options = dict[str, str]


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seeds, and on what and where they were computed.

    Args:
        shown: what tells the group from the others: `NAMES`, ``label`` only if some have one; ``evaluation``, if there
            are evaluations or groups that differ in it; ``options``, if groups share all of these names: those in which
            they differ.
        runs: the members.
    """

    shown: dict[str, str | None]
    runs: list[Run]


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """The groups, in the order of their first runs.

    Of a run without a `config.yaml`, and of one with a label, only the names are compared: whoever gave the label knows
    what belongs together.
    """
    runs = list(runs)
    members: dict[tuple[Names, frozenset[tuple[str, str]] | None], list[Run]] = {}
    for run in runs:
        options = None if run.config is None or run.label else frozenset(_options(run.config).items())
        members.setdefault((_names(run), options), []).append(run)
    evaluations = {names[-1] for names, _ in members}
    with_evaluation = len(evaluations) > 1 or any(run.command == "evaluate" for run in runs)
    with_labels = any(run.label for run in runs)
    alike: dict[Names, list[Options | None]] = {}
    for names, options in members:
        alike.setdefault(names, []).append(None if options is None else dict(options))
    cells = _cells(list(alike.values()))
    by_names = {names: iter(column) for names, column in zip(alike, cells, strict=True)}
    groups = []
    for (names, _), its_runs in members.items():
        shown = dict(zip((*NAMES, "evaluation"), names, strict=True))
        if not with_evaluation:
            del shown["evaluation"]
        if not with_labels:
            del shown["label"]
        if len(members) > len(alike):
            shown["options"] = next(by_names[names])
        groups.append(Group(shown, its_runs))
    return groups


def _names(run: Run) -> Names:
    # What a strategy finds with several seeds is one sample; what no strategy found is told apart.
    architecture = run.architecture if run.strategy is None else None
    return (run.label, run.command, run.strategy, run.space, run.dataset, run.estimator, architecture, run.evaluation)


def _options(config: Mapping[str, object]) -> Options:
    told = {f"names.{name}" for name in (*NAMES, "evaluation")}
    kept = {key: value for key, value in config.items() if key not in ASIDE}
    return {key: text for key, text in flatten(kept) if key not in told}


def _cells(alike: Sequence[Sequence[Options | None]]) -> list[list[str | None]]:
    """For groups that share their names, each of these lists: the options in which they differ, as text."""
    differing = [_differing(groups) for groups in alike]
    labels = short_keys({key for keys in differing for key in keys})
    cells: list[list[str | None]] = []
    for groups, keys in zip(alike, differing, strict=True):
        values = {
            key: _short_values(key, {options[key] for options in groups if options and key in options}) for key in keys
        }
        column: list[str | None] = []
        for options in groups:
            if options is None:
                column.append(NO_CONFIG if len(groups) > 1 else None)
            else:
                parts = (f"{labels[key]}={values[key][options[key]]}" for key in keys if key in options)
                column.append(", ".join(parts) or None)
        cells.append(column)
    return cells


def _differing(groups: Sequence[Options | None]) -> list[str]:
    """The sorted keys in which configurations differ, be it that some lack them."""
    known = [options for options in groups if options is not None]
    keys = {key for options in known for key in options}
    return sorted(key for key in keys if len({options.get(key) for options in known}) > 1)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key with as many of its last parts as tell it from the others; `_target_` stands for its section."""
    sections = {key: key.removesuffix("._target_") for key in keys}
    whole = {tuple(section.split(".")) for section in sections.values()}
    short = {}
    for parts in whole:
        lengths = range(1, len(parts))
        enough = (n for n in lengths if sum(other[-n:] == parts[-n:] for other in whole) == 1)
        short[".".join(parts)] = ".".join(parts[-next(enough, len(parts)) :])
    return {key: short[section] for key, section in sections.items()}


def _short_values(key: str, values: set[str]) -> dict[str, str]:
    """A class by its name alone, unless two share it."""
    short = {value: value.rpartition(".")[2] for value in values}
    is_class = key.endswith("_target_") and len(set(short.values())) == len(values)
    return short if is_class else {value: value for value in values}
