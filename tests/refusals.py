"""What is said of overrides that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_cli.config import check_overrides
from nas_cli.errors import InputError


def refused(*overrides: str, primary: str = "search", config_dir: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check_overrides(primary, overrides, config_dir)
    message = str(caught.value)
    assert "\n" not in message
    return message
