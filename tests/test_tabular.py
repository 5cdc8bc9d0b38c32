"""The tables that come with the program; their figures are tested in tests/estimators/test_table.py."""

from __future__ import annotations

import pytest

from nas_cli import tabular


@pytest.mark.parametrize("name", [tabular.NASBENCH201, tabular.NASBENCH201_SHORT])
def test_the_tables_hold_every_cell_on_every_data_set(name: str) -> None:
    table = tabular.load(name)
    for column in tabular.NASBENCH201_DATA.values():
        assert len(table[f"{column}_valid"]) == len(table[f"{column}_test"]) == 15_625
    assert tabular.load(name) is table  # read once


def test_rows_are_looked_up_by_operations() -> None:
    rows = tabular.nasbench201_rows()
    assert len(rows) == 15_625
    assert rows[("skip_connect",) * 6] == 1835  # as the tables' README says
