"""The strategy of a run, built again for its report."""

from __future__ import annotations

import pytest
from bayesian_run import bayesian_run

from nas_cli.report.rebuild import rebuild


@pytest.mark.parametrize(("noise", "modelled"), [("0.0", 1e-11), ("0.2", None)])
def test_it_knows_whether_the_function_was_exact(noise: str, modelled: float | None) -> None:
    run, _ = bayesian_run("brochu1d", f"estimator.noise={noise}")
    assert rebuild(run).scores.treatment.noise == modelled
