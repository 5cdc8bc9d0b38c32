"""Decisions set by name, from the command line and from Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_cli import config as configuration
from nas_cli import evaluate, load_architecture
from nas_cli.architecture import Architecture, Value
from nas_cli.errors import InputError
from nas_cli.spaces.box import Box
from nas_cli.spaces.chain_cnn import ChainSpace
from nas_cli.spaces.decisions import Categorical, Integer, Normal, Real, When
from nas_cli.spaces.named import decided
from nas_cli.spaces.nasnet import NasNetSpace

OVEN = Box(
    "oven",
    {
        "degrees": Real("degrees", 100, 260),
        "minutes": Integer("minutes", 5, 120, step=5),
        "heat": Categorical("heat", ("still", "fan")),
        "speed": Integer("speed", 1, 3, when=When("heat", ("fan",))),
        "salt": Normal("salt", 0, 1),
    },
)
CAKE = Architecture("oven", (180.0, 60, "fan", 2, 0.5))


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({}, CAKE.decisions),
        ({"minutes": 45}, (180.0, 45, "fan", 2, 0.5)),
        ({"speed": 3, "degrees": 200}, (200, 60, "fan", 3, 0.5)),
        ({"heat": "still"}, (180.0, 60, "still", None, 0.5)),
    ],
)
def test_named_values_take_the_place_of_its_own(given: dict[str, Value], values: tuple[Value, ...]) -> None:
    assert decided(OVEN, CAKE, given) == Architecture("oven", values)


def test_an_unknown_name_is_told_before_what_the_architecture_lacks() -> None:
    """NASNet-A's cells are none of the space's, and none of its decisions can be set."""
    with pytest.raises(InputError, match=r"architecture\.columns=3: no such decision of space nasnet"):
        decided(NasNetSpace("nasnet", ["identity"]), load_architecture("nasnet_a"), {"columns": 3})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"minute": 45}, "architecture.minute=45: no such decision of space oven (did you mean minutes?)"),
        ({"minutes": 47}, "architecture.minutes=47: must be a whole number from 5 to 120 in steps of 5"),
        ({"degrees": 300}, "architecture.degrees=300: must be a number from 100 to 260"),
        ({"heat": "grill"}, "architecture.heat=grill: must be one of still, fan"),
        ({"salt": "much"}, "architecture.salt=much: must be a number"),
        ({"heat": "still", "speed": 2}, "architecture.speed=2: is not decided, as the other decisions stand"),
        ({"degrees": None}, "architecture.degrees=None: must be a number from 100 to 260"),
    ],
)
def test_what_cannot_be_set_is_told_in_one_line(given: dict[str, Value], told: str) -> None:
    with pytest.raises(InputError) as caught:
        decided(OVEN, CAKE, given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_space_whose_architectures_are_texts_has_named_decisions_too() -> None:
    space = ChainSpace("chain_cnn", (2, 2))
    before = space.decode((1, 3, 8, 5, 5, 16, 1))
    given: list[dict[str, Any]] = [{"2/filters": 32}, {"2.filters": 32}, {"2": {"filters": 32}}]
    for each in given:
        assert decided(space, before, each) == space.decode((1, 3, 8, 5, 5, 32, 1))
    with pytest.raises(InputError, match=r"architecture\.2\.filter=32: no such decision .*did you mean 2\.filters"):
        decided(space, before, {"2.filter": 32})


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="set space="):
        decided(OVEN, Architecture("elsewhere", (1,)), {"minutes": 45})


def test_a_command_line_as_hydra_takes_it() -> None:
    given = ["architecture=fractalnet", "architecture.columns=4", "+architecture.columns=4", "seed=1"]
    assert configuration.as_composed("evaluate", given) == [
        "architecture=fractalnet",
        "++decisions.columns=4",
        "++decisions.columns=4",
        "seed=1",
    ]
    assert configuration.as_composed("search", given) == given


def test_composed_they_stand_apart() -> None:
    config = configuration.compose("evaluate", ["space=fractalnet", "architecture=x", "architecture.columns=4"])
    assert (config["architecture"], config["decisions"]) == ("x", {"columns": 4})


def test_a_search_knows_no_such_key() -> None:
    with pytest.raises(InputError, match=r"architecture\.columns: no such key"):
        configuration.check_overrides("search", ["architecture.columns=4"])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "architecture.colums=4",
            "architecture.colums=4: no such decision of space fractalnet (did you mean columns?)",
        ),
        ("architecture.columns=9", "architecture.columns=9: must be a whole number from 1 to 6"),
        ("architecture.columns=two", "architecture.columns=two: must be a whole number from 1 to 6"),
        ("architecture.columns.x=2", "architecture.columns={'x': 2}: must be a whole number from 1 to 6"),
    ],
)
def test_the_command_refuses_in_one_line(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, told: str
) -> None:
    assert run("nas-evaluate", "architecture=fractalnet", override, "evaluation.epochs=0", "hydra.run.dir=run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"nas-evaluate: {told}")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_sweep_over_a_decision(run: Callable[..., int], tmp_path: Path) -> None:
    swept = ("architecture.columns=1,3", "hydra.sweep.dir=sweep")
    assert run("nas-evaluate", "--multirun", "architecture=fractalnet", *swept, "evaluation.epochs=0") == 0
    found = [json.loads((tmp_path / "sweep" / name / "result.json").read_text()) for name in ("0", "1")]
    assert [result["best"]["architecture"]["decisions"] for result in found] == [[1], [3]]


def test_a_slash_of_a_name_is_a_dot_on_the_command_line(run: Callable[..., int], tmp_path: Path) -> None:
    chain = Architecture("chain_cnn", ("3x3 filters 8", "3x3 filters 8 no norm", "max_pool 3x3 from 2"))
    Path("chain.json").write_text(json.dumps(chain.to_json()))
    options = ["space.layer_types=[conv,max_pool]", "space.norms=[true,false]", "evaluation.epochs=0"]
    given = ["architecture.1.layer_type=max_pool", "architecture.2.norm=true", "architecture.3.reads_1=1"]
    command = ["nas-evaluate", "space=chain_cnn", "architecture=chain.json", *options, "hydra.run.dir=run"]
    assert run(*command, *given) == 0
    found = json.loads((tmp_path / "run" / "result.json").read_text())["best"]
    assert found["architecture"]["decisions"] == ["max_pool 3x3", "3x3 filters 8", "max_pool 3x3 from 1,2"]
    classes = 10
    assert found["metrics"]["params"] == 9 * 8 + 2 * 8 + (1 + 8) * classes + classes


def test_from_python(tmp_path: Path) -> None:
    options = {"architecture.columns": 4, "evaluation.epochs": 0}
    result = evaluate("fractalnet", options=options, folder=tmp_path / "run")
    assert result.architecture == Architecture("fractalnet", (4,))
