from __future__ import annotations

import pytest

from nas_cli.tables.units import written


@pytest.mark.parametrize(
    ("unit", "mean", "deviation", "text"),
    [
        ("%", 0.0276, 0.0009, "2.76 ± 0.09"),
        ("%", 0.5, None, "50.00"),
        ("M", 3_349_342, None, "3.35"),
        ("M", 59_338, 1000, "0.059 ± 0.001"),
        ("K", 24_300, None, "24.3"),
        ("MiB", 2**29, None, "512"),
        ("", 55.68, 0.1, "55.68 ± 0.10"),
        ("", 0.0201, 0.0181, "0.020 ± 0.018"),
        ("", 0.00089, 0.00103, "0.0009 ± 0.0010"),
        ("", 1.4e-8, None, "1.4e-08"),
        ("", 0.0, 0.0, "0.00 ± 0.00"),
        ("", 0.0, 2e-7, "0.0e+00 ± 2.0e-07"),
        ("GPU days", 26.04, 0.5, "26.0 ± 0.5 s"),
        ("GPU days", 5400, None, "1.5 h"),
        ("GPU days", 129_600, 8640, "1.5 ± 0.1 d"),
        ("s", 90, None, "1.5 min"),
        ("s", 0.04, None, "0.0 s"),
    ],
)
def test_a_value_of_a_run_folder_as_a_person_reads_it(
    unit: str, mean: float, deviation: float | None, text: str
) -> None:
    assert written(unit, mean, deviation) == text
