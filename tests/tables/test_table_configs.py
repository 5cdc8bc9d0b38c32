"""Every table of configs/table: what stands in it, and that each override of each row at each scale is known.

Nothing is trained here: overrides are held against what they compose with. `test_every_row_builds` (slow) builds the
parts, and with them what only constructors know.
"""

from __future__ import annotations

import csv
import functools
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from nas_cli import config as configuration
from nas_cli import published
from nas_cli.errors import InputError
from nas_cli.tables import definition
from nas_cli.tables.command import main
from nas_cli.tables.definition import GROUP, SCALES
from nas_cli.tables.plan import Stage, jobs

FOLDER = configuration.configs_folder() / GROUP
TABLES = definition.names()
AT_LEAST = 15
CHOICES = configuration.choices()


def stages_of(name: str, scale: str) -> list[tuple[str, Stage, Stage | None]]:
    """(row, stage, the search before it) of a table at a scale, one seed of each."""
    found = []
    for job in jobs(definition.read(name), scale, seeds=1):
        for stage in job.stages:
            search = job.stages[0] if stage.name == "evaluate" and job.stages[0].name == "search" else None
            found.append((job.row, stage, search))
    return found


def groups_of(overrides: tuple[str, ...]) -> dict[str, str]:
    """Those overrides that choose a name."""
    pairs = (override.lstrip("+").split("=", 1) for override in overrides)
    return {key: value for key, value in pairs if key in CHOICES}


def cases() -> Iterator[Any]:
    """For every table and scale its runs, each with the search before it."""
    for name in TABLES:
        for scale in SCALES:
            yield pytest.param([run[1:] for run in stages_of(name, scale)], id=f"{name}-{scale}")


@functools.cache
def whole(primary: str, overrides: tuple[str, ...]) -> Any:
    """A composition; many rows choose the same names."""
    return COMPOSE(primary, list(overrides), None, with_hydra=True)


COMPOSE = configuration._hydra_compose


@pytest.fixture
def _composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def compose(primary: str, overrides: Any, config_dir: Path | None = None, with_hydra: bool = False) -> Any:
        config = whole(primary, tuple(overrides))
        return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])

    monkeypatch.setattr(configuration, "_hydra_compose", compose)
    monkeypatch.setattr(configuration, "choices", lambda config_dir=None: CHOICES)


def inherited(stage: Stage, search: Stage | None) -> list[str]:
    """The names that an evaluation takes over, as `nas-evaluate` does it."""
    chosen = groups_of(stage.overrides)
    if search is not None:
        written = [
            f"{'+' if f'+{key}={value}' in search.overrides else ''}{key}={value}"
            for key, value in groups_of(search.overrides).items()
        ]
        names = whole("search", tuple(written)).hydra.runtime.choices
        taken = {key: names[key] for key in ("space", "dataset", "evaluation") if key not in chosen}
        if (
            "evaluation" in chosen
            and whole("evaluate", (f"evaluation={chosen['evaluation']}",)).hydra.runtime.choices["dataset"] != "digits"
        ):
            taken.pop("dataset", None)
        return [f"{key}={value}" for key, value in taken.items()]
    (architecture,) = (word.partition("=")[2] for word in stage.overrides if word.startswith("architecture="))
    return [f"space={published.load(architecture).space}"]


def fault_of(stage: Stage, search: Stage | None) -> str | None:
    """What `nas-run` or `nas-evaluate` would refuse of a run."""
    try:
        before = [] if stage.name == "search" else inherited(stage, search)
        configuration.check_overrides(stage.name, [*before, *stage.overrides])
    except InputError as error:
        return f"{stage.folder.parent.parent.name}, {stage.name}: {error}"
    return None


def kind_of(run: tuple[Stage, Stage | None]) -> tuple[Any, ...]:
    """What two runs share that differ in data set or DARTS space alone, which bring no options of their own."""
    parts = [stage for stage in run if stage is not None]
    return tuple(
        (stage.name, *(word for word in stage.overrides if not word.startswith(("dataset=", "space=darts_s", "run="))))
        for stage in parts
    )


@pytest.mark.usefixtures("_composed_once")
@pytest.mark.parametrize("runs", list(cases()))
def test_every_override_is_known(runs: list[tuple[Stage, Stage | None]]) -> None:
    """All names, and the options of one run of each kind: a composition takes long, and one table has a hundred."""
    chosen = {group for run in runs for stage in run if stage for group in groups_of(stage.overrides).items()}
    assert [
        f"{group}={name}" for group, name in chosen if not set(name.strip("[]").split(",")) <= {*CHOICES[group]}
    ] == []
    kinds = {kind_of(run): run for run in runs}
    assert [fault for run in kinds.values() if (fault := fault_of(*run))] == []


@pytest.mark.slow
@pytest.mark.usefixtures("_composed_once")
@pytest.mark.parametrize("runs", list(cases()))
def test_every_override_of_every_run_is_known(runs: list[tuple[Stage, Stage | None]]) -> None:
    assert [fault for run in runs if (fault := fault_of(*run))] == []


@pytest.mark.usefixtures("_composed_once")
@pytest.mark.parametrize(
    ("name", "override", "fault"),
    [
        ("search", "strategy.epoch=1", "a, search: strategy.epoch: no such key"),
        ("search", "space.channels=two", "a, search: space.channels=two: must be a whole number"),
        ("search", "dataset=digit", "a, search: dataset=digit: no such dataset"),
        ("evaluate", "evaluation.epoch=1", "a, evaluate: evaluation.epoch: no such key"),
    ],
)
def test_an_unknown_override_is_found(name: str, override: str, fault: str) -> None:
    search = Stage("search", Path("a/0/search"), ("strategy=darts",))
    stage = Stage(name, Path(f"a/0/{name}"), (*search.overrides, override) if name == "search" else (override,))
    assert str(fault_of(stage, None if name == "search" else search)).startswith(fault)


def test_no_table_is_missing() -> None:
    assert len(TABLES) >= AT_LEAST
    assert all(definition.read(name).name == name for name in TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_first_comment_is_the_command_that_runs_it(name: str) -> None:
    assert (FOLDER / f"{name}.yaml").read_text().startswith(f"# nas-table {name} scale=smoke: ")


@pytest.mark.parametrize("name", TABLES)
def test_no_name_stands_twice(name: str) -> None:
    """YAML would keep the last of two rows of one name, and say nothing."""

    def twice(node: yaml.Node) -> list[str]:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            here = [key for key in keys if keys.count(key) > 1]
            return here + [key for _, value in node.value for key in twice(value)]
        return [key for item in node.value for key in twice(item)] if isinstance(node, yaml.SequenceNode) else []

    node = yaml.compose((FOLDER / f"{name}.yaml").read_text())
    assert node is not None
    assert twice(node) == []


@pytest.mark.parametrize("name", TABLES)
def test_no_label_stands_twice_among_rows_that_run(name: str) -> None:
    """Curves are told by it."""
    labels = [row.label for row in definition.read(name).rows if not row.cites]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", TABLES)
def test_what_is_said_of_published_cells_is_in_the_table(name: str) -> None:
    table = definition.read(name)
    told = "published cells" in (table.note or "").lower()
    assert told <= any(stage.name == "evaluate" and search is None for _, stage, search in stages_of(name, "smoke"))


def test_the_random_cell_has_no_supernet() -> None:
    rows = {row.name: row.without for row in definition.read("differentiable-small").rows}
    assert "supernet" in rows.pop("random")
    assert not any(rows.values())


@pytest.mark.parametrize("name", ["collapse", "differentiable-small", "nas-rl-vs-random"])
def test_what_is_about_our_own_runs_is_run_small(name: str) -> None:
    assert definition.read(name).scale == "small"


@pytest.mark.parametrize("name", TABLES)
def test_every_figure_is_one(name: str) -> None:
    figure = re.compile(r"\d+(\.\d+)?( ± \d+(\.\d+)?| to \d+(\.\d+)?)?")
    for row in definition.read(name).rows:
        for text in row.reported.values():
            assert figure.fullmatch(text.text), f"{row.name}: {text.text}"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_runs_something_at_every_scale(name: str) -> None:
    for scale in SCALES:
        assert stages_of(name, scale), scale


@pytest.mark.parametrize("name", TABLES)
def test_smoke_has_one_seed_and_few_runs(name: str) -> None:
    assert len(jobs(definition.read(name), "smoke")) <= 14


@pytest.mark.parametrize("name", TABLES)
def test_full_is_the_paper_s_own_setting(name: str) -> None:
    """Every search of a paper's table is one of the experiments, or a black-box baseline."""
    if definition.read(name).paper is None:
        return
    for row, stage, _ in stages_of(name, "full"):
        baseline = {"strategy=random", "strategy=grid"} & {*stage.overrides}
        assert stage.name == "evaluate" or baseline or "experiment" in groups_of(stage.overrides), row


def test_verified_figures_of_darts() -> None:
    """A few figures as the paper has them, against slips of the pen in the YAML."""
    rows = {row.name: row.reported for row in definition.read("darts-cifar10").rows}
    assert (rows["first_order"]["error"].text, rows["second_order"]["error"].text) == ("3.00 ± 0.14", "2.76 ± 0.09")
    assert rows["second_order"]["error"].verified
    assert not rows["second_order"]["cost"].verified


def test_the_figures_of_a_method_are_the_same_in_both_tables_of_nas_bench_201() -> None:
    collapse, whole = (
        {row.name: row.reported for row in definition.read(name).rows}
        for name in ("collapse", "differentiable-nasbench201")
    )
    assert collapse["darts"]["cifar10_test"].text == "54.30 ± 0.00"
    for one, other in (("darts", "darts_first_order"), ("pc_darts", "pc_darts")):
        assert collapse[one].items() <= whole[other].items()


def test_cures_are_searched_in_the_setting_in_which_darts_collapses() -> None:
    """But P-DARTS' depth by stages, and the epoch from which DARTS+ may stop."""
    stages = {
        row: dict(word.split("=", 1) for word in stage.overrides) for row, stage, _ in stages_of("collapse", "small")
    }
    aside = {"strategy", "space.cells", "strategy.epochs", "strategy.stages.cells", "strategy.stopping.first_epoch"}
    settings = [{key: value for key, value in told.items() if key not in aside} for told in stages.values()]
    assert all(setting == settings[0] for setting in settings)
    assert stages["pdarts"]["strategy.stages.cells"].endswith(f",{stages['darts']['space.cells']}]")


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", TABLES)
def test_every_row_builds(name: str, scale: str) -> None:
    """Constructors know more than YAML: ranges, and what goes together. An evaluation of a search needs its result."""
    from nas_cli import session

    faults = []
    for row, stage, search in stages_of(name, scale):
        if search is not None:
            continue
        before = [] if stage.name == "search" else inherited(stage, None)
        try:
            config = configuration.compose(stage.name, [*before, *stage.overrides])
            session._Parts({"command": stage.name, **config})
        except InputError as error:
            faults.append(f"{row}: {error}")
    assert faults == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_table_runs_at_smoke_scale(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(configuration.__file__).parents[1]))
    with pytest.raises(SystemExit) as stop:
        main([name, "scale=smoke", "jobs=2"])
    assert stop.value.code == 0


@pytest.mark.slow
def test_darts_collapses_and_its_cures_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(configuration.__file__).parents[1]))
    with pytest.raises(SystemExit) as stop:
        main(["collapse", "rows=darts,darts_plus,pdarts", "jobs=2"])
    assert stop.value.code == 0
    folder = tmp_path / "outputs/tables/collapse/small"
    with (folder / "table.csv").open(encoding="utf-8") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    skips, accuracy = (
        {name: float(rows[name][f"{column}: here"]) for name in ("darts", "darts_plus", "pdarts")}
        for column in ("skips", "test (%)")
    )
    journals = list(folder.glob("darts/**/metrics.jsonl"))
    first = [json.loads(path.read_text(encoding="utf-8").splitlines()[0])["skips_normal"] for path in journals]
    assert len(first) == 3
    assert statistics.mean(first) < 3  # it grows
    assert skips["darts"] > 5  # in the mean of the seeds: most end with all six
    assert accuracy["darts"] < 70  # of six: 54.3
    assert skips["darts_plus"] < skips["darts"]
    assert skips["pdarts"] <= 2
    assert min(accuracy["darts_plus"], accuracy["pdarts"]) > accuracy["darts"] + 15
