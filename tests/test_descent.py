"""What is not finite stops a training."""

from __future__ import annotations

import math

import pytest
import torch

from nas_cli.descent import check_finite
from nas_cli.errors import DivergedError


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_check_finite(value: float) -> None:
    with pytest.raises(DivergedError, match=f"the loss is {value}"):
        check_finite(torch.tensor(value), "the loss")
    check_finite(torch.tensor(1e30), "the loss")
