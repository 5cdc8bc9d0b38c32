"""What a run was told: its `config.yaml` as plain data, and that as a flat list of options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nas_cli.errors import InputError

#: libyaml's loader is about ten times as fast, but not every build of PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_config(path: Path) -> dict[Any, Any] | None:
    """The configuration in a file, interpolations left as they are written; None where there is no file.

    Raises:
        InputError: no plain YAML, or no mapping.
    """
    try:
        config = yaml.load(path.read_bytes(), Loader=LOADER)
        _refuse_aliases(config, set())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: must hold a configuration, not {type(config).__name__}")
    return config


def _refuse_aliases(value: Any, seen: set[int]) -> None:
    # A few lines of aliases can stand for billions of values, or hold themselves. No run writes any.
    if isinstance(value, dict | list):
        if id(value) in seen:
            raise ValueError("it has aliases")
        seen.add(id(value))
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_aliases(part, seen)


def flatten(config: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values as text, e.g. ``("strategy.mixing._target_", "a.b.Softmax")``; a list is one value."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    # 1.0 and 1 are the same option.
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
