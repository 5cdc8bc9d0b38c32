"""Tables as data: what a row's commands are at each scale, and which faults of a file are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_table import TABLE, write_table

from nas_cli.errors import InputError
from nas_cli.tables import definition
from nas_cli.tables.definition import Figure, Row


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Row]:
    return {row.name: row for row in definition.read("mine", write_table(tmp_path)).rows}


def test_a_row_without_commands_cites(rows: dict[str, Row]) -> None:
    assert rows["cited"].cites
    assert not rows["found"].cites


def test_a_figure_keeps_its_text_and_says_whether_it_is_verified(rows: dict[str, Row]) -> None:
    assert rows["cited"].reported == {
        "error": Figure("2.50", True),
        "params": Figure("3.3", False),
        "cost": Figure("2000", False),
    }


def test_a_row_s_own_overrides_follow_those_of_the_scale(rows: dict[str, Row]) -> None:
    work = rows["found"].work["smoke"]
    assert work.search == ("fake=search", "strategy=darts")
    assert work.evaluate == ("fake=evaluate",)  # what was searched is evaluated where the scale says how
    assert work.seeds == 2


def test_what_a_row_has_at_one_scale_replaces_the_rest(rows: dict[str, Row]) -> None:
    small, full = rows["found"].work["small"], rows["found"].work["full"]
    assert (small.search, small.evaluate, small.seeds) == (("strategy=random",), (), 1)
    assert (full.search, full.evaluate) == (("+experiment=darts/cifar10_first_order",), ("evaluation=cifar10",))


def test_a_named_architecture_is_only_shortened(rows: dict[str, Row]) -> None:
    smoke, full = rows["published"].work["smoke"], rows["published"].work["full"]
    assert (smoke.search, smoke.evaluate, smoke.seeds) == (None, ("architecture=darts_v2", "evaluation.epochs=0"), 1)
    assert not full.runs  # `full: null`


def test_a_table_may_say_at_which_scale_it_is_run(tmp_path: Path) -> None:
    assert definition.read("mine", write_table(tmp_path)).scale == "smoke"
    with_scale = TABLE.replace("title: Mine", "title: Mine\nscale: small")
    assert definition.read("mine", write_table(tmp_path, with_scale)).scale == "small"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "title: Mine",
            "title: Mine\nscale: smal",
            "scale=smal: must be one of smoke, small, full (did you mean small?)",
        ),
        ("title: Mine", "title: Mine\nscale: [small]", "scale=['small']: must be one of smoke, small, full"),
        ("title: Mine\n", "", "title: is missing"),
        ("title: Mine", "titel: Mine\ntitle: Mine", "titel: no such key (did you mean title?)"),
        ("unit: M,", "unit: km,", "columns.params.unit=km: must be one of "),
        ("from: evaluate.params", "from: params", "columns.params.from=params: must be search.METRIC or evaluate."),
        ("  full: {seeds: 1}\n", "", "scales.full: is missing"),
        ("seeds: 2", "seeds: 0", "rows.found: seeds=0: must be a whole number of at least 1"),
        ("seeds: 3,", "seed: 3,", "scales.small.seed: no such key (did you mean seeds?)"),
        ("cost: 2000 (u)", "price: 2000", "rows.cited.reported.price: no such key"),
        ("search: [strategy=darts]", "serch: [strategy=darts]", "rows.found.serch: no such key (did you mean search?)"),
        ("search: [strategy=darts]", "search: strategy=darts", "rows.found: search: must be a list of overrides"),
        ("search: [strategy=darts]", "search: [strategy]", "rows.found: search: must be a list of overrides"),
        ("label: ours", "label: ours\n    without: [price]", "rows.found.without=['price']: must be a list of columns"),
        ("label: ours", "label: ours\n    without: cost", "rows.found.without=cost: must be a list of columns"),
        ("  cited:", "  a/b:", "rows.a/b: a name must be of "),
        ("label: ours", "label: 3", "rows.found.label: must be text, not 3"),
        ("    label: ours", "    label: [", "cannot be read as YAML"),
    ],
)
def test_a_fault_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert TABLE.count(old) >= 1
    folder = write_table(tmp_path, TABLE.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        definition.read("mine", folder)
    assert fault in str(caught.value)
    assert str(folder / "table" / "mine.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mime", "../table/mine", "mine.yaml", ""])
def test_an_unknown_table_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such table"):
        definition.read(name, write_table(tmp_path))


def test_a_user_s_tables_stand_among_ours(tmp_path: Path) -> None:
    assert "mine" not in definition.names()
    assert {"mine", "darts-cifar10"} <= set(definition.names(write_table(tmp_path)))


def test_only_rows_that_run_can_be_chosen(tmp_path: Path) -> None:
    table = definition.read("mine", write_table(tmp_path))
    assert definition.only(table, ["published"]) == ["published"]
    with pytest.raises(InputError, match=r"rows=foun: .*did you mean found\?"):
        definition.only(table, ["foun"])
    with pytest.raises(InputError, match="rows=cited: no such row to run"):
        definition.only(table, ["cited"])
