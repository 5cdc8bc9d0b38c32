"""Composing a configuration, and checking it before torch is imported or any data is read.

The YAML of the chosen parts says which keys exist and of which plain type they are: the composition without any value
given is the reference that the values are held against. Signatures are checked when the parts are built
(`nas_cli.build`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_cli.errors import InputError, nearest

#: The keys of a whole configuration, by command. A file of a user's can bring no others.
_COMMON = ("command", "config_dir", "seed", "checkpoint_seconds", "names", "hardware", "dataset", "space", "evaluation")
TOP_LEVEL = {
    "search": (*_COMMON, "executor", "estimator", "strategy"),
    "evaluate": (*_COMMON, "run", "rank", "architecture", "decisions"),
}
#: What begins a decision of the architecture that is evaluated, on the command line and in the configuration.
_DECISION, _DECIDED = "architecture.", "decisions."


def configs_folder() -> Path:
    """The folder of the YAML files: inside the package where it was installed as a wheel, else beside it."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def choices(config_dir: Path | None = None) -> dict[str, list[str]]:
    """Every config group with the names that it can take, a user's folder included."""
    groups: dict[str, set[str]] = {}
    for root in filter(None, (configs_folder(), config_dir)):
        for file in root.rglob("*.yaml"):
            parts = file.relative_to(root).with_suffix("").parts
            if len(parts) == 1 or parts[0] in ("hydra", "table"):
                continue  # a primary file is no choice, and a table is composed into no run
            # experiment/darts/cifar10 is the experiment `darts/cifar10`; strategy/mixing/softmax belongs to the
            # group `strategy/mixing`.
            depth = 1 if parts[0] == "experiment" else len(parts) - 1
            groups.setdefault("/".join(parts[:depth]), set()).add("/".join(parts[depth:]))
    return {group: sorted(names) for group, names in sorted(groups.items())}


def compose(primary: str, overrides: Sequence[str], config_dir: Path | None = None) -> dict[str, Any]:
    """Check overrides and compose them, resolved, as plain data.

    Args:
        primary: ``search`` or ``evaluate``.
        overrides: as on the command line.
        config_dir: a user's folder of further groups.

    Raises `InputError` with every fault that was found, in one line.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    check_overrides(primary, overrides, config_dir)
    config = _hydra_compose(primary, overrides, config_dir, with_hydra=True)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)  # what ${hydra:…} reads
    try:
        return plain(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))
    finally:
        HydraConfig.instance().cfg = before


def plain(config: Any) -> dict[str, Any]:
    """A composed configuration as plain data, every interpolation resolved. Raises `InputError` on a bad one."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(one_line(error)) from None
    return dict(resolved)


def check_overrides(primary: str, overrides: Sequence[str], config_dir: Path | None = None) -> None:
    """Hold overrides against what exists. Raises `InputError` naming every unknown key, name and wrong type."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise InputError(f"{error.override}: not of the form key=value ({one_line(error)})") from None
    groups = choices(config_dir)
    faults, chosen, values, unknown = [], [], [], []
    for override in parsed:
        key = override.key_or_group
        if key.startswith(("hydra.", "hydra/")):
            continue
        if primary == "evaluate" and key.startswith(_DECISION):
            continue  # the space says later what there is to decide
        if key.split(".")[0] == "names":
            faults.append(f"{key}: follows from what is chosen; it cannot be set")
            continue
        if key in groups and key.split("/")[0] not in (*TOP_LEVEL[primary], "experiment"):
            faults.append(f"{key}: is of no use here")
        elif key in groups:
            chosen.append(override)
            faults += _check_choice(key, override, groups[key])
        elif override.package is None and "/" not in key:
            values.append(override)
        else:
            unknown.append(key)
    if unknown:  # perhaps an option, written like a group
        options = [] if faults else [key for known in _references(primary, chosen, groups, config_dir) for key in known]
        faults += [f"{key}: no such group{nearest(key, [*groups, *options])}" for key in unknown]
    if not faults and values:
        for known in _references(primary, chosen, groups, config_dir):
            for override in values:
                faults += _check_value(override, known, [*groups, *known])
    if faults:
        raise InputError("; ".join(dict.fromkeys(faults)))


def values_of(key: str, overrides: Sequence[str]) -> list[Any]:
    """All values that a command line gives a key, more than one in a sweep; they are only read, not checked."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    found = [one for one in OverridesParser.create().parse_overrides(list(overrides)) if one.key_or_group == key]
    given = [one.sweep_iterator() if one.is_sweep_override() else (one.value(),) for one in found]
    return [value for values in given for value in values]


def as_composed(primary: str, arguments: Sequence[str]) -> list[str]:
    """A command line as Hydra takes it: ``architecture.NAME=VALUE`` is a key below a text, and so goes beside it."""
    if primary != "evaluate":
        return list(arguments)
    bare = [argument.lstrip("+") for argument in arguments]
    return [
        f"++{_DECIDED}{key.removeprefix(_DECISION)}" if key.startswith(_DECISION) else argument
        for key, argument in zip(bare, arguments, strict=True)
    ]


def _references(
    primary: str, chosen: Sequence[Any], groups: Mapping[str, Sequence[str]], config_dir: Path | None
) -> Iterator[dict[str, Any]]:
    """What the chosen groups compose to with no value given, by dotted key; one for each combination of a sweep."""
    import itertools

    from omegaconf import OmegaConf

    alternatives = [
        [f"{'+' if o.is_add() else ''}{o.key_or_group}={choice}" for choice in _selections(o, groups[o.key_or_group])]
        for o in chosen
        if not o.is_delete()
    ]
    for combination in itertools.islice(itertools.product(*alternatives), 64):
        composed = _hydra_compose(primary, combination, config_dir)
        container: Any = OmegaConf.to_container(composed, resolve=False)
        yield dict(_flatten(container))


def _hydra_compose(primary: str, overrides: Sequence[str], config_dir: Path | None, with_hydra: bool = False) -> Any:
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    search_path = [f"hydra.searchpath={literal([f'file://{config_dir}'])}"] if config_dir else []
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(configs_folder()), version_base="1.3"):
            overrides = as_composed(primary, [*search_path, *overrides])
            return hydra.compose(primary, overrides, return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(one_line(error)) from None
    finally:
        GlobalHydra.instance().hydra = before


def literal(value: Any) -> str:
    """A plain value as it is written after ``key=``, so that the very same value is read."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return QuotedString(value, Quote.double).with_quotes()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, float):
        return str(value)  # inf and nan as Hydra writes them
    if not isinstance(value, bool | int | None):
        raise InputError(f"{value!r}: not a value that a configuration can hold")
    return json.dumps(value)


def _selections(override: Any, allowed: Sequence[str]) -> list[str]:
    """What a group override chooses, as text: a name or a list of names, or several of these in a sweep."""
    from hydra.core.override_parser.types import Glob

    value = override.value()
    if isinstance(value, Glob):
        return [str(name) for name in value.filter(list(allowed))]
    if override.is_sweep_override():
        return [str(choice) for choice in override.sweep_string_iterator()]
    return [f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)]


def _names(override: Any, allowed: Sequence[str]) -> list[str]:
    """All names in what a group override chooses."""
    selections = _selections(override, allowed)
    return [name.strip() for text in selections for name in text.strip("[]").split(",") if text != "[]"]


def _check_choice(group: str, override: Any, allowed: Sequence[str]) -> list[str]:
    there_are = f"there are {', '.join(allowed)}"
    names = [] if override.is_delete() else _names(override, allowed)
    # A part of a part may be left out, where its constructor has a default; a run needs one of everything else.
    if (override.is_delete() or "None" in names) and "/" not in group and group != "experiment":
        return [f"{group}: cannot be left out; {there_are}"]
    return [
        f"{group}={name}: no such {group}{nearest(name, allowed)}; {there_are}"
        for name in names
        if name not in allowed and name != "None"
    ]


def _check_value(override: Any, known: Mapping[str, Any], every_key: Sequence[str]) -> list[str]:
    key = override.key_or_group
    if key not in known:
        if any(name.startswith(key + ".") for name in known):
            group = key.replace(".", "/")
            another = f", or choose another part with {group}=…" if group in every_key else ""
            return [] if override.is_delete() else [f"{key}: is a group of options; set one of them ({key}.…){another}"]
        return [f"{key}: no such key{nearest(key, every_key)}"]
    if override.is_delete():
        return []
    default = known[key]
    if not override.is_sweep_override():
        values = [override.value()]
    elif override.is_discrete_sweep():
        values = list(override.sweep_iterator())
    else:
        return []  # an interval or a glob, which only the sweeper can make values of
    return [
        f"{key}={value}: must be {_TYPE_WORDS[type(default)]}, like the default {default}"
        for value in values
        if not _same_type(default, value)
    ]


_TYPE_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "anything",
}


def _same_type(default: Any, value: Any) -> bool:
    """Whether a value could stand where the YAML has `default`; null is left to the part's signature."""
    if default is None or value is None or (isinstance(default, str) and default.startswith("${")):
        return True
    if isinstance(value, str) and value.startswith("${"):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, str):
        return isinstance(value, str)
    return isinstance(value, type(default))


def _flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with their dotted keys; a list or an empty mapping is a leaf."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def one_line(error: BaseException) -> str:
    """An exception's text in one line."""
    return " ".join(str(error).split())
