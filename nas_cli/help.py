"""The help pages, printed without composing anything: help must be quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SEARCH = """\
nas-run - neural architecture search from one composed configuration

Usage: nas-run [group=choice] [option=value] ...
  nas-run                                              DARTS on the digits, a minute or two
  nas-run strategy=random strategy.evaluations=200     random search in the NAS-Bench-201 table
  nas-run --multirun strategy=random seed=0,1,2        a sweep; then: nas-report multirun
  nas-run resume=RUN_DIR                               goes on where a run stopped

Choices of each group:
{groups}

Options used most (all of them, with what each does: nas-run --cfg job, or the files of configs/):
  seed=0                             of everything random
  strategy.epochs=5                  length of a gradient search
  strategy.evaluations=100           length of a black-box search
  space.channels=8 space.cells=4     size of the searched network
  dataset.root=data                  where the files of a data set are
  dataset.download=true              fetch them if they are missing
  hardware.device=auto               auto, cpu, cuda or mps
  executor=processes                 candidates of a black-box search judged side by side …
  executor.workers=2                 … by so many processes of this machine, or actors of executor=ray
  hydra.run.dir=DIR                  the run folder (outputs/<strategy>-<space>-<dataset>/<time>)

Flags:
  --cfg job                          print the whole configuration and stop
  --multirun                         run every combination of comma-separated values
  --config-dir DIR                   your own YAML files, group by group, and your own classes
  --hydra-help                       the rest: launchers, shell completion, --info

Next: nas-evaluate run=RUN_DIR trains what a search found; nas-report PATH tells what runs gave.
"""

EVALUATE = """\
nas-evaluate - trains one architecture from scratch and tests it

Usage: nas-evaluate run=RUN_DIR | architecture=NAME_OR_FILE [group=choice] [option=value] ...
  nas-evaluate run=RUN_DIR                                                    what a search found
  nas-evaluate -m run=RUN_DIR 'rank=range(1,6)'                               its 5 best candidates, one by one
  nas-evaluate architecture=darts_v2 evaluation=cifar10                       a published cell, as its paper does
  nas-evaluate architecture=darts_v2 evaluation=cifar10 evaluation.epochs=0   only counts parameters and MACs
  nas-evaluate resume=RUN_DIR                                                 goes on where an evaluation stopped

Published architectures:
{architectures}

Choices of each group:
{groups}

Options used most (all of them, with what each does: nas-evaluate --cfg job, or the files of configs/):
  seed=0                             of everything random
  evaluation.epochs=20               length of the training; 0 only counts
  evaluation.channels=8              width of the network (null: the space's own)
  evaluation.cells=4                 depth of the network (null: the space's own)
  dataset.root=data                  where the files of a data set are
  dataset.download=true              fetch them if they are missing
  hardware.device=auto               auto, cpu, cuda or mps
  hydra.run.dir=DIR                  the run folder (outputs/evaluate-<evaluation>-<dataset>/<time>)

Flags:
  --cfg job                          print the whole configuration and stop
  --config-dir DIR                   your own YAML files, group by group, and your own classes
  --hydra-help                       the rest: launchers, shell completion, --info
"""

#: Groups that an evaluation composes; a search composes all of them.
EVALUATED = ("dataset", "evaluation", "hardware", "space")
#: What strategies choose, and nobody else.
INTERNAL = ("judging",)


def help_page(primary: str, groups: Mapping[str, Sequence[str]]) -> str:
    """The help of `nas-run` (``search``) or `nas-evaluate` (``evaluate``).

    Args:
        primary: which of the two.
        groups: every config group with its choices.
    """
    if primary == "search":
        shown = {group: names for group, names in groups.items() if group not in INTERNAL}
        return SEARCH.format(groups=_listed(shown))
    from nas_cli import published

    shown = {group: names for group, names in groups.items() if group in EVALUATED}
    return EVALUATE.format(groups=_listed(shown), architectures=_wrapped(published.names(), "  "))


def _listed(groups: Mapping[str, Sequence[str]]) -> str:
    width = max(map(len, groups)) + 4
    return "\n".join(f"  {group:{width - 2}}{_wrapped(names, ' ' * width).strip()}" for group, names in groups.items())


def _wrapped(names: Sequence[str], indent: str) -> str:
    import textwrap

    return textwrap.fill(", ".join(names), 100, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
