"""What noise `strategy=bo` takes scores to have where none is named."""

from __future__ import annotations

from typing import Any

import architectures
import pytest
import torch
from gp_table import Judge, Made, bo, line

from nas_cli.config import compose
from nas_cli.estimators.function import Function
from nas_cli.journal import Trial
from nas_cli.seeding import numpy_generator
from nas_cli.spaces.decisions import Categorical
from nas_cli.spaces.functions import Branin
from nas_cli.strategies.black_box.bo.kernels.discrete import Categorical as CategoricalKernel
from nas_cli.strategies.black_box.bo.kernels.hamming import Hamming
from nas_cli.strategies.black_box.bo.maximisers.discrete import Enumerate
from nas_cli.strategies.black_box.bo.strategy import BayesianOptimisation

BRANIN = Branin("branin")
FOUR = Made(Categorical("c", ("a", "b", "c", "d")), name="four")


@pytest.mark.parametrize(
    ("options", "noise"),
    [
        ({"estimator": Function(BRANIN)}, 1e-11),
        ({"estimator": Function(BRANIN, noise=0.2)}, None),
        ({"estimator": Judge(is_exact=False)}, None),
        ({"estimator": None}, None),
        ({"estimator": Function(BRANIN), "exact": False}, None),
        ({"estimator": Judge(is_exact=False), "exact": True}, 1e-11),
        ({"estimator": Function(BRANIN), "noise": 0.01}, 0.01),
        ({"estimator": Judge(is_exact=False), "noise": 0.01}, 0.01),
    ],
)
def test_noise_is_inferred_unless_scores_are_exact_or_it_is_named(options: dict[str, Any], noise: float | None) -> None:
    assert bo(BRANIN, **options).scores.treatment.noise == noise


def test_a_kernel_that_is_not_over_numbers_may_share_rows_and_so_has_noise() -> None:
    assert bo(FOUR, kernel=CategoricalKernel(), maximiser=Enumerate()).scores.treatment.noise == 1e-11
    assert bo(FOUR, kernel=Hamming(), maximiser=Enumerate()).scores.treatment.noise is None


@pytest.mark.parametrize("start", ["strategy=bo", "+experiment=bo/snoek_mcmc", "+experiment=bo/nasbench201"])
@pytest.mark.parametrize("told", [{"noise": 0.01}, {"noise": None}, {"exact": True}, {"exact": False}])
def test_it_can_be_told_whatever_was_chosen(start: str, told: dict[str, Any]) -> None:
    ((key, value),) = told.items()
    text = {None: "null", True: "true", False: "false"}.get(value, str(value))
    assert compose("search", [start, f"strategy.{key}={text}"])["strategy"][key] == value


def test_neither_noise_nor_amplitude_of_scores_is_that_of_durations() -> None:
    made = bo(line(), noise=0.01, amplitude=2.0, mean="zero")
    assert (made.durations.treatment.noise, made.durations.treatment.amplitude) == (None, None)
    assert not made.durations.treatment.mean


def test_the_default_knows_how_little_it_knows_of_unseen_cells() -> None:
    """Of 100, 97 lie within two standard deviations of the prediction; 9 do where scores are taken to be exact."""
    made, table = architectures.parts(["strategy=bo"], 100, 0)
    assert isinstance(made, BayesianOptimisation)
    generator = numpy_generator(0, "x")
    cells = list(dict.fromkeys(made.space.sample(generator) for _ in range(310)))[:300]
    scores = torch.tensor([table.measure(cell).score for cell in cells], dtype=torch.float64)
    for index in range(200):
        made.tell(Trial(index=index, architecture=cells[index], score=scores[index].item()))
    with torch.no_grad():
        model = made._posterior()
        mean, variance = (moment.flatten() for moment in model.moments(made.covariance.inputs.rows(cells[200:])))
    assert len(model.rows.unique()) == 132
    errors = (scores[200:] - scores[:200].mean()) / scores[:200].std() - mean
    assert (errors.square() < 4 * (variance + model.vectors.noise)).double().mean() > 0.9
