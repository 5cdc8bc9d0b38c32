"""nas-run: one runner for neural architecture search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_cli.api import evaluate as evaluate
    from nas_cli.api import load_architecture as load_architecture
    from nas_cli.api import search as search

__version__ = "0.1.0"
__all__ = ["evaluate", "load_architecture", "search"]


def __getattr__(name: str) -> Any:
    # Lazily: `nas-run --help` must not pay for importing torch.
    if name in __all__:
        from nas_cli import api

        return getattr(api, name)
    raise AttributeError(f"module 'nas_cli' has no attribute {name!r}")
