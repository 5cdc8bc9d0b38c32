"""Networks that an evaluation has trained, used again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas_cli import evaluate, tally
from nas_cli.data.digits import Digits
from nas_cli.errors import InputError
from nas_cli.hardware import Hardware
from nas_cli.networks.features import FeatureMaps
from nas_cli.trained import load_network

TINY = {"space.widths": [4, 6], "architecture.columns": 2, "evaluation.batch_size": 128}


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_it_tests_as_the_run_says(tmp_path: Path, average: float) -> None:
    options = {**TINY, "evaluation.epochs": 1, "evaluation.weight_average": average}
    result = evaluate("fractalnet", options=options, folder=tmp_path / "run")
    network = load_network(tmp_path / "run")
    assert not network.training
    found = tally.test(network, Digits("digits").test(), 128, Hardware(device="cpu")).metrics("test")
    assert found["test_accuracy"] == result.metrics["test_accuracy"]
    maps = FeatureMaps(network, (1, 32, 32))(torch.zeros(1, 1, 32, 32))
    assert [made.shape[1] for made in maps.values()] == [4, 6]


def test_what_trained_nothing_is_refused(tmp_path: Path) -> None:
    evaluate("fractalnet", options={**TINY, "evaluation.epochs": 0}, folder=tmp_path / "run")
    with pytest.raises(InputError, match="no trained network"):
        load_network(tmp_path / "run")
    with pytest.raises(InputError, match="not a run folder"):
        load_network(tmp_path)
