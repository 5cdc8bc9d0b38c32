"""Parts from their configuration: `_target_` names a class, the other keys are its options.

A part's constructor is also given what it asks for by name among what the run has (`space`, `dataset`, `estimator`,
`hardware`, `seed`, and `name` for spaces and data sets). Everything is checked against the signatures before any
constructor runs, and all faults are told at once.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from nas_cli.errors import CombinationError, InputError, nearest

T = TypeVar("T")


def build(config: Mapping[str, Any], key: str, expected: type[T] | types.UnionType, **given: Any) -> T:
    """Build the part that `config` describes.

    Args:
        config: plain data with a `_target_`.
        key: where it stands in the configuration, for messages (``strategy``).
        expected: the interface that the part must implement.
        given: what the part may ask for by parameter name.

    Raises `InputError` for an unknown class, a wrong class, an unknown or missing option, a wrong type, or whatever
    the constructor refuses.
    """
    faults = check(config, key, expected, given)
    if faults:
        raise InputError("; ".join(faults))
    part = _construct(config, key, given)
    if not isinstance(part, expected):
        raise InputError(f"{key}._target_: {config['_target_']} did not make a {_wanted(expected)}")
    return part


def resolve(target: str) -> Any:
    """The object that a dotted name stands for. Raises `InputError` where there is none."""
    module_name, _, attribute = target.rpartition(".")
    if not module_name or target.startswith("."):
        raise InputError(f"{target}: not a dotted name such as my_module.MyClass")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module can fail in any way while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{target}: cannot be imported ({reason})") from None
    if not hasattr(module, attribute):
        raise InputError(f"{target}: no such class in {module_name}{nearest(attribute, vars(module))}")
    return getattr(module, attribute)


def check(config: Any, key: str, expected: Any = object, given: Mapping[str, Any] | None = None) -> list[str]:
    """All faults of a part's configuration, as one-line messages; nothing is constructed."""
    given = given or {}
    if not isinstance(config, Mapping) or not isinstance(config.get("_target_"), str):
        return [f"{key}: not a part; it needs a _target_"]
    target = config["_target_"]
    try:
        made = resolve(target)
    except InputError as error:
        return [f"{key}._target_: {error}"]
    if not inspect.isclass(made) or not issubclass(made, _classes(expected)):
        return [f"{key}._target_: {target} is not a {_wanted(expected)}"]
    if inspect.isabstract(made):
        return [f"{key}._target_: {target} leaves {', '.join(sorted(getattr(made, '__abstractmethods__', ())))} open"]
    every = inspect.signature(made).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in every.values())
    parameters = {n: p for n, p in every.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    hints = _hints(made)
    options = {name: value for name, value in config.items() if not name.startswith("_")}
    own = [name for name in parameters if name not in given]
    faults = []
    for name, value in options.items():
        if name not in own and (name in given or not takes_any):
            faults.append(f"{key}.{name}: no such option of {made.__name__}{nearest(name, own)}")
        else:
            faults += _check_value(value, f"{key}.{name}", hints.get(name, object))
    for name in own:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            faults.append(f"{key}.{name}: missing; {made.__name__} needs it")
    return faults


def _construct(config: Mapping[str, Any], key: str, given: Mapping[str, Any]) -> Any:
    made = resolve(config["_target_"])
    options = {name: _made(value, f"{key}.{name}") for name, value in config.items() if not name.startswith("_")}
    wanted = {name: value for name, value in given.items() if name in inspect.signature(made).parameters}
    hints = _hints(made)
    for name, value in wanted.items():
        classes = _classes(hints.get(name, object))
        if classes and not isinstance(value, classes):
            found, needed = type(value).__name__, _wanted(hints[name])
            raise CombinationError(
                f"{name}={getattr(value, 'name', found)}: {key} ({made.__name__}) takes {needed}, not {found}"
            )
    try:
        return made(**wanted, **options)
    except CombinationError:
        raise
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _made(value: Any, key: str) -> Any:
    """An option: a part constructed, parts by name each constructed (null is none of them), or the plain value."""
    if _is_part(value):
        return _construct(value, key, {})
    if isinstance(value, Mapping) and any(_is_part(item) for item in value.values()):
        return {name: _construct(item, f"{key}.{name}", {}) for name, item in value.items() if item is not None}
    return value


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _hints(made: type) -> dict[str, Any]:
    """Type hints of the constructor; none where a user's class names types that it imports for type checkers only."""
    try:
        return typing.get_type_hints(made.__init__)  # type: ignore[misc]
    except NameError:
        return {}


def _check_value(value: Any, key: str, hint: Any) -> list[str]:
    if _is_part(value):
        return check(value, key, hint)
    named = _named(hint)
    if named is not None and isinstance(value, Mapping):
        return [
            fault for name, item in value.items() if item is not None for fault in check(item, f"{key}.{name}", named)
        ]
    return [] if accepts(hint, value) else [f"{key}={value}: must be {describe(hint)}"]


def _named(hint: Any) -> Any:
    """What the values of a mapping must be, for a type hint that allows a mapping from names to parts."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next((found for option in typing.get_args(hint) if (found := _named(option)) is not None), None)
    arguments = typing.get_args(hint)
    is_mapping = inspect.isclass(typing.get_origin(hint)) and issubclass(typing.get_origin(hint), Mapping)
    return arguments[1] if is_mapping and _classes(arguments[1]) not in ((), (object,)) else None


def _wanted(hint: Any) -> str:
    return " or ".join(c.__name__ for c in _classes(hint)) or "plain value"


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes that a part given for this type hint may be an instance of."""
    if hint in (Any, object):
        return (object,)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(c for option in typing.get_args(hint) for c in _classes(option))
    plain = (int, float, bool, str, type(None), list, tuple, dict)
    return (hint,) if inspect.isclass(hint) and hint not in plain else ()


def accepts(hint: Any, value: Any) -> bool:
    """Whether a plain value from YAML fits a type hint; an int is a float, a bool is no number."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        return True
    if isinstance(hint, types.UnionType) or origin is typing.Union:
        return any(accepts(option, value) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(accepts(arguments[1], item) for item in value.values())
    if origin is not None and issubclass(origin, Sequence):
        inner = arguments[:1] * len(value) if isinstance(value, Sequence) else ()
        if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
            inner = arguments
        return (
            isinstance(value, list | tuple)
            and len(value) == len(inner)
            and all(accepts(option, item) for option, item in zip(inner, value, strict=True))
        )
    return inspect.isclass(hint) and isinstance(value, hint)


def describe(hint: Any) -> str:
    """A type hint in words for a message."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType) or origin is typing.Union:
        return " or ".join(describe(option) for option in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(option) for option in arguments)
    if origin is not None and issubclass(origin, Sequence):
        if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
            return f"a list of {len(arguments)} values"
        return f"a list of {describe(arguments[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return words.get(hint, f"a part ({getattr(hint, '__name__', hint)})")
