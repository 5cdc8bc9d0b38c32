"""Parts from their configuration: what is refused, in which words, and that nothing is called before that."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from nas_cli.build import accepts, build, check, describe, resolve
from nas_cli.errors import CombinationError, InputError, require
from nas_cli.session import ROLES

if TYPE_CHECKING:
    from fractions import Fraction

HERE = __name__
built: list[str] = []


class Engine(ABC):
    @abstractmethod
    def roar(self) -> str:
        """Make a noise."""


class Diesel(Engine):
    def __init__(self, power: int = 90, fuel: Literal["b7", "b10"] = "b7") -> None:
        require(power > 0, f"power must be above 0, not {power}")
        built.append("Diesel")
        self.power = power
        self.fuel = fuel

    def roar(self) -> str:
        return "nag"


class Horse:
    def __init__(self) -> None:
        built.append("Horse")


class Car:
    def __init__(
        self,
        seed: int,
        engine: Engine,
        seats: int = 4,
        length: float = 4.2,
        open: bool = False,
        name: str | None = None,
        gears: Sequence[float] = (),
        range: tuple[int, float] = (0, 1.0),
        trailer: Engine | None = None,
    ) -> None:
        if seed == 13:
            raise CombinationError("seed=13 with engine=any: bad luck")
        built.append("Car")
        self.given = {key: value for key, value in locals().items() if key not in ("self", "__class__")}


class Garage:
    def __init__(self, engines: Mapping[str, Engine] | None = None, prices: Mapping[str, float] | None = None) -> None:
        built.append("Garage")
        self.engines, self.prices = engines, prices


class Open:
    """Takes whatever it is given, and has a hint that cannot be read when the program runs."""

    def __init__(self, *rest: int, size: Fraction | int = 1, **options: Any) -> None:
        self.size = size
        self.options = options


@pytest.fixture(autouse=True)
def _fresh() -> None:
    built.clear()


def engine(**options: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Diesel", **options}


def car(**options: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Car", "engine": engine(), **options}


def test_a_part_with_a_part_in_it() -> None:
    made = build(car(seats=2, length=5, name="x", engine=engine(power=50)), "car", Car, seed=3)
    assert made.given["seed"] == 3
    assert made.given["seats"] == 2
    assert made.given["engine"].power == 50
    assert built == ["Diesel", "Car"]


def test_only_what_is_asked_for_by_name_is_injected() -> None:
    made = build(car(), "car", Car, seed=3, space="not asked for", hardware=None)
    assert set(made.given) == {
        *("seed", "engine", "seats", "length", "open", "name", "gears", "range", "trailer"),
    }


def test_what_is_injected_is_no_option() -> None:
    with pytest.raises(InputError, match=r"^car\.seed: no such option of Car"):
        build(car(seed=4), "car", Car, seed=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saets": 2}, "car.saets: no such option of Car (did you mean seats?)"),
        ({"wings": 2}, "car.wings: no such option of Car"),
        ({"seats": 2.5}, "car.seats=2.5: must be a whole number"),
        ({"seats": "2"}, "car.seats=2: must be a whole number"),
        ({"seats": True}, "car.seats=True: must be a whole number"),
        ({"seats": None}, "car.seats=None: must be a whole number"),
        ({"length": "long"}, "car.length=long: must be a number"),
        ({"length": False}, "car.length=False: must be a number"),
        ({"open": 1}, "car.open=1: must be true or false"),
        ({"name": 3}, "car.name=3: must be text or null"),
        ({"gears": 3.0}, "car.gears=3.0: must be a list of a number"),
        ({"gears": [1.0, "r"]}, "car.gears=[1.0, 'r']: must be a list of a number"),
        ({"gears": "1.0"}, "car.gears=1.0: must be a list of a number"),
        ({"range": [1]}, "car.range=[1]: must be a list of 2 values"),
        ({"range": [1, 2, 3]}, "car.range=[1, 2, 3]: must be a list of 2 values"),
        ({"range": [1.5, 2]}, "car.range=[1.5, 2]: must be a list of 2 values"),
        ({"engine": engine(fuel="b8")}, "car.engine.fuel=b8: must be one of b7, b10"),
        ({"engine": engine(powr=3)}, "car.engine.powr: no such option of Diesel (did you mean power?)"),
        ({"engine": {"_target_": f"{HERE}.Horse"}}, f"car.engine._target_: {HERE}.Horse is not a Engine"),
        ({"engine": 3}, "car.engine=3: must be a part (Engine)"),
        ({"engine": {"power": 3}}, "car.engine={'power': 3}: must be a part (Engine)"),
        ({"trailer": {"_target_": f"{HERE}.Horse"}}, f"car.trailer._target_: {HERE}.Horse is not a Engine"),
        ({"seats": engine()}, f"car.seats._target_: {HERE}.Diesel is not a plain value"),
        ({"_target_": f"{HERE}.Caar"}, f"car._target_: {HERE}.Caar: no such class in {HERE} (did you mean Car?)"),
        ({"_target_": "no_such_module.Car"}, "car._target_: no_such_module.Car: cannot be imported"),
        ({"_target_": "Car"}, "car._target_: Car: not a dotted name"),
        ({"_target_": "..Car"}, "car._target_: ..Car: not a dotted name"),
        ({"_target_": f"{HERE}.Engine"}, f"car._target_: {HERE}.Engine is not a Car"),
        ({"_target_": 3}, "car: not a part; it needs a _target_"),
    ],
)
def test_every_fault_has_its_message_and_nothing_is_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build(car(**options), "car", Car, seed=3)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert built == []


def garage(**engines: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Garage", "engines": engines}


def test_parts_by_name_are_each_built_and_null_is_none_of_them() -> None:
    made = build(garage(first=engine(power=50), second=None, third=engine()), "garage", Garage)
    assert {name: each.power for name, each in made.engines.items()} == {"first": 50, "third": 90}
    assert built == ["Diesel", "Diesel", "Garage"]


@pytest.mark.parametrize(("engines", "left"), [({}, {}), (None, None), ({"first": None}, {"first": None})])
def test_a_mapping_without_parts(engines: Any, left: Any) -> None:
    made = build({"_target_": f"{HERE}.Garage", "engines": engines}, "garage", Garage)
    assert {name for name, part in (made.engines or {}).items() if part is not None} == set()


def test_a_mapping_of_plain_values_stays_one() -> None:
    made = build({"_target_": f"{HERE}.Garage", "prices": {"diesel": 1.5}}, "garage", Garage)
    assert made.prices == {"diesel": 1.5}
    with pytest.raises(InputError, match=r"^garage\.prices=\{'diesel': 'much'\}: must be "):
        build({"_target_": f"{HERE}.Garage", "prices": {"diesel": "much"}}, "garage", Garage)


@pytest.mark.parametrize(
    ("engines", "message"),
    [
        ({"a": engine(), "b": engine(powr=3)}, "garage.engines.b.powr: no such option of Diesel (did you mean power?)"),
        ({"a": engine(fuel="b8")}, "garage.engines.a.fuel=b8: must be one of b7, b10"),
        ({"a": {"_target_": f"{HERE}.Horse"}}, f"garage.engines.a._target_: {HERE}.Horse is not a Engine"),
        ({"a": engine(), "b": {"power": 3}}, "garage.engines.b: not a part; it needs a _target_"),
        ({"a": engine(), "b": 3}, "garage.engines.b: not a part; it needs a _target_"),
        ([engine()], "garage.engines=[{"),
        (engine(), f"garage.engines._target_: {HERE}.Diesel is not a"),
    ],
)
def test_faults_of_parts_by_name_name_them_and_nothing_is_built(engines: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build({"_target_": f"{HERE}.Garage", "engines": engines}, "garage", Garage)
    assert str(caught.value).startswith(message)
    assert built == []


def test_all_parts_by_name_tell_their_faults_at_once_and_refusals_carry_the_name() -> None:
    with pytest.raises(InputError) as caught:
        build(garage(a=engine(power="x"), b=engine(fuel=3)), "garage", Garage)
    assert str(caught.value).split("; ") == [
        "garage.engines.a.power=x: must be a whole number",
        "garage.engines.b.fuel=3: must be one of b7, b10",
    ]
    with pytest.raises(InputError, match=r"^garage\.engines\.b: power must be above 0, not 0$"):
        build(garage(a=engine(), b=engine(power=0)), "garage", Garage)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(InputError, match=r"^car\.engine: missing; Car needs it$"):
        build({"_target_": f"{HERE}.Car"}, "car", Car, seed=1)


@pytest.mark.parametrize("config", [None, 3, "darts", {}, {"power": 3}, []])
def test_what_is_no_part(config: Any) -> None:
    assert check(config, "strategy") == ["strategy: not a part; it needs a _target_"]


def test_an_abstract_class_names_what_it_leaves_open() -> None:
    assert check({"_target_": f"{HERE}.Engine"}, "engine", Engine) == [
        f"engine._target_: {HERE}.Engine leaves roar open"
    ]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        build(car(seats="two", wings=1, engine=engine(power=1.5, fuel=3)), "car", Car, seed=3)
    assert str(caught.value).split("; ") == [
        "car.engine.power=1.5: must be a whole number",
        "car.engine.fuel=3: must be one of b7, b10",
        "car.seats=two: must be a whole number",
        "car.wings: no such option of Car",
    ]


def test_what_a_constructor_refuses_gets_its_key_in_front() -> None:
    with pytest.raises(InputError, match=r"^car\.engine: power must be above 0, not 0$"):
        build(car(engine=engine(power=0)), "car", Car, seed=3)
    with pytest.raises(InputError, match=r"^engine: power must be above 0, not -1$"):
        build(engine(power=-1), "engine", Engine)


def test_a_bad_combination_speaks_for_itself() -> None:
    with pytest.raises(CombinationError, match=r"^seed=13 with engine=any: bad luck$"):
        build(car(), "car", Car, seed=13)


def test_open_constructors_take_further_options_and_unreadable_hints_check_nothing() -> None:
    made = build({"_target_": f"{HERE}.Open", "size": 2, "colour": "red"}, "open", Open, seed=1)
    assert (made.size, made.options) == (2, {"colour": "red"})
    assert check({"_target_": f"{HERE}.Open", "seed": 1}, "open", Open, {"seed": 1}) == [
        "open.seed: no such option of Open"
    ]


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize(
    "config",
    [
        {"_target_": "os.system", "command": "touch {marker}"},
        {"_target_": "subprocess.Popen", "args": ["touch", "{marker}"]},
        {"_target_": "subprocess.run", "args": ["touch", "{marker}"]},
        {"_target_": "pathlib.Path.touch", "self": "{marker}"},
        {"_target_": "builtins.dict", "a": 1},
        {"_target_": "builtins.exec", "source": "open('{marker}', 'w')"},
    ],
)
def test_what_is_no_part_of_ours_is_never_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, config: dict[str, Any]
) -> None:
    marker = tmp_path / "marker"
    filled = {
        key: value.replace("{marker}", str(marker)) if isinstance(value, str) else value
        for key, value in config.items()
    }
    called: list[str] = []
    monkeypatch.setattr(os, "system", lambda *_: called.append("system"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: called.append("run"))
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *_, **__: called.append("Popen"))
    with pytest.raises(InputError, match=rf"^{role}\._target_: "):
        build(filled, role, ROLES[role], seed=0)
    with pytest.raises(InputError, match=r"engine\._target_: "):
        build(car(engine=filled), "car", Car, seed=0)
    assert called == []
    assert built == []
    assert not marker.exists()


@pytest.mark.parametrize(
    ("hint", "fits", "does_not"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1]]),
        (float, [1, 1.5], [False, "1", None]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, ["a"]]),
        (None, [None], [0, ""]),
        (int | None, [1, None], ["1", 1.5]),
        (Literal["a", 3], ["a", 3], ["b", None, 4]),
        (tuple[float, float], [[1, 2.5], (0.5, 0.999)], [[1], [1, 2, 3], ["1", 2], 1, "12"]),
        (tuple[int, ...], [[], [1], [1, 2, 3]], [[1.5], 1, "1"]),
        (Sequence[str], [[], ["a", "b"]], ["ab", [1], {"a": 1}]),
        (list[int], [[1]], [["a"], 1]),
        (Sequence[Sequence[int]], [[[1], []]], [[1], [["a"]]]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "b"}, [1], 1]),
        (dict, [{"a": 1}], [1, []]),
        (Any, [1, None, "a"], []),
        (object, [1, None, "a"], []),
        (Engine, [], [1, {}, "Engine", None]),
        (Callable[[int], int], [], [1, "f"]),
        (int | Sequence[int], [1, [1]], ["a", ["a"]]),
    ],
)
def test_accepts(hint: Any, fits: list[Any], does_not: list[Any]) -> None:
    assert [value for value in fits if not accepts(hint, value)] == []
    assert [value for value in does_not if accepts(hint, value)] == []


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "a whole number or null"),
        (Literal[200, 12], "one of 200, 12"),
        (tuple[float, float], "a list of 2 values"),
        (Sequence[str], "a list of text"),
        (Engine, "a part (Engine)"),
    ],
)
def test_describe(hint: Any, words: str) -> None:
    assert describe(hint) == words


def test_resolve_finds_a_class() -> None:
    assert resolve(f"{HERE}.Car") is Car


class Loud:
    """A part that is given another part of the run."""

    def __init__(self, dataset: Diesel) -> None:
        self.dataset = dataset


def test_a_part_that_does_not_suit_another_is_refused() -> None:
    class Electric:
        name = "volta"

    target = {"_target_": f"{HERE}.Loud"}
    engine = Diesel()
    assert build(target, "estimator", Loud, dataset=engine).dataset is engine
    with pytest.raises(CombinationError) as caught:
        build(target, "estimator", Loud, dataset=Electric())
    assert str(caught.value) == "dataset=volta: estimator (Loud) takes Diesel, not Electric"
