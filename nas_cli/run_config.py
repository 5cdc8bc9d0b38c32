"""The configuration that a run folder keeps, and what an evaluation takes over from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas_cli.config import compose, literal
from nas_cli.errors import InputError, require
from nas_cli.journal import write_atomically


def write(folder: Path, config: Mapping[str, Any]) -> None:
    """Keep a resolved configuration as `config.yaml`."""
    from omegaconf import OmegaConf

    write_atomically(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))).encode())


def read(folder: Path) -> dict[str, Any]:
    """A run's configuration. Raises `InputError` where the folder holds none, or a damaged one."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = folder / "config.yaml"
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError:
        raise InputError(f"{folder}: not a run folder, it has no config.yaml") from None
    except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError):
        raise InputError(f"{path}: damaged, cannot be read as a configuration") from None
    parts = ("names", "space", "dataset", "hardware", "evaluation")
    whole = isinstance(config, dict) and all(isinstance(config.get(part), dict) for part in parts)
    if not whole or not {"command", "seed", "checkpoint_seconds", "config_dir"} <= config.keys():
        raise InputError(f"{path}: not the configuration of a run, or only a part of it")
    return dict(config)


def config_dir(folder: Path) -> Path | None:
    """The folder of a user's own groups that a run was composed with."""
    found = read(folder).get("config_dir")
    return None if found is None else Path(found)


def overrides_from(folder: Path, chosen: Mapping[str, str], config_dir: Path | None) -> list[str]:
    """A run's space, data set and evaluation as overrides for `nas-evaluate`.

    Args:
        folder: a run folder of `nas-run`.
        chosen: what the user gave, by key. A group among it is not taken over; with an evaluation that brings a data
            set of its own (`cifar10`), neither is the run's data set.
        config_dir: a user's folder of further groups.
    """
    config = read(folder)
    groups = [group for group in ("space", "dataset", "evaluation") if group not in chosen]
    if "evaluation" in chosen and "dataset" in groups:
        brings = {_brings_data(evaluation, config_dir) for evaluation in chosen["evaluation"].split(",")}
        require(len(brings) == 1, f"evaluation={chosen['evaluation']}: of different data sets; sweep them apart")
        if brings == {True}:
            groups.remove("dataset")
    overrides = []
    for group in groups:
        overrides.append(f"{group}={config['names'][group]}")
        overrides += [f"{key}={literal(value)}" for key, value in _leaves(config[group], group)]
    return overrides


def _brings_data(evaluation: str, config_dir: Path | None) -> bool:
    with_it, without = (
        compose("evaluate", overrides, config_dir)["names"]["dataset"]
        for overrides in ([f"evaluation={evaluation}"], [])
    )
    return bool(with_it != without)


def _leaves(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}.{key}")
        elif not key.startswith("_"):
            yield f"{prefix}.{key}", value
