"""States on their way through a checkpoint."""

from __future__ import annotations

import io
from typing import Any

import torch


def saved(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from the disk, so that nothing is shared with what it was taken from."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded
