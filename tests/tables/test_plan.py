"""From a table to command lines and folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_table import write_table
from run_folders import write_run, write_unfinished

from nas_cli.errors import InputError
from nas_cli.tables import definition
from nas_cli.tables.definition import Table
from nas_cli.tables.plan import jobs, listing


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.chdir(tmp_path)
    return definition.read("mine", write_table(tmp_path))


def test_a_folder_for_each_row_and_seed(table: Table) -> None:
    folders = [str(job.folder) for job in jobs(table, "smoke")]
    assert folders == [f"outputs/tables/mine/smoke/{place}" for place in ("found/0", "found/1", "published/0")]
    assert len(jobs(table, "smoke", seeds=4)) == 8
    assert [job.row for job in jobs(table, "full")] == ["found"]


def test_the_commands_can_be_copied_into_a_shell(table: Table) -> None:
    assert listing(jobs(table, "smoke", seeds=1)).splitlines() == [
        "nas-run fake=search strategy=darts seed=0 hydra.run.dir=outputs/tables/mine/smoke/found/0/search",
        "nas-evaluate run=outputs/tables/mine/smoke/found/0/search fake=evaluate seed=0 "
        "hydra.run.dir=outputs/tables/mine/smoke/found/0/evaluate",
        "nas-evaluate architecture=darts_v2 evaluation.epochs=0 seed=0 "
        "hydra.run.dir=outputs/tables/mine/smoke/published/0/evaluate",
    ]


def test_a_user_s_overrides_go_to_the_runs_that_know_them(table: Table) -> None:
    extra = ["strategy.epochs=2", "dataset.root=/data", "strategy/mixing=softmax", "evaluation.epochs=1"]
    search, evaluate = jobs(table, "full", extra)[0].stages
    assert set(extra) <= set(search.overrides)
    assert set(extra) & set(evaluate.overrides) == {"dataset.root=/data", "evaluation.epochs=1"}


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("stratgy.epochs=2", r"stratgy: no such key \(did you mean strategy\?\)"),
        ("seed=3", "seed=3: .* seeds="),
        ("run=x", "run: no such key"),
    ],
)
def test_an_override_of_no_section_is_refused(table: Table, override: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        jobs(table, "full", [override])


def test_a_run_is_begun_then_resumed_then_left(table: Table) -> None:
    job = jobs(table, "smoke")[0]
    search = job.stages[0]
    assert search.next_command() == search.command()
    write_unfinished(search.folder)
    assert search.next_command() == ["nas-run", f"resume={search.folder}"]
    write_run(search.folder)
    assert search.next_command() is None
    assert not job.finished  # the evaluation is missing
    write_run(job.stages[1].folder)
    assert job.finished


def test_runs_of_other_settings_are_not_taken_for_this_job_s(table: Table) -> None:
    (job,) = jobs(table, "full", ["strategy.epochs=2"])
    job.record()
    write_unfinished(job.stages[0].folder)
    assert job.other_settings() is None
    (elsewhere,) = jobs(table, "full", ["strategy.epochs=2", "hardware.device=cuda", "dataset.root=/other"])
    assert elsewhere.other_settings() is None  # where it computes changes no figure
    (changed,) = jobs(table, "full", ["strategy.epochs=3"])
    assert "full/found/0/search was made with other settings" in str(changed.other_settings())


def test_a_user_s_groups_are_given_on(table: Table, tmp_path: Path) -> None:
    command = jobs(table, "full", config_dir=tmp_path)[0].stages[0].command()
    assert command[:3] == ["nas-run", "--config-dir", str(tmp_path)]
