"""Composing a configuration, also with groups of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused

from nas_cli import config
from nas_cli.config import check_overrides, choices, compose, configs_folder, literal, one_line
from nas_cli.errors import InputError

# ---- what composes to what


def test_the_defaults() -> None:
    found = compose("search", [])
    assert found["names"] == {
        "strategy": "darts",
        "space": "darts",
        "dataset": "digits",
        "estimator": "shared_weights",
        "evaluation": "small",
    }
    assert found["seed"] == 0
    assert "hydra" not in found
    assert found["strategy"]["mixing"]["_target_"].endswith(".Softmax")


def test_a_strategy_chooses_what_suits_it() -> None:
    names = compose("search", ["strategy=random"])["names"]
    assert (names["space"], names["estimator"], names["dataset"]) == ("nasbench201", "table", "cifar10")
    names = compose("search", ["strategy=grid"])["names"]
    assert (names["space"], names["estimator"], names["dataset"]) == ("branin", "function", "none")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A person's own groups, in a folder whose name needs quoting."""
    folder = tmp_path / "my cönfigs, v=1"
    files = {
        "strategy/mine.yaml": (
            "# @package _global_\ndefaults:\n  - _self_\n  - override /space: branin\n"
            "  - override /estimator: function\n\nstrategy:\n"
            "  _target_: my_nas.Mine\n  length: 3\n  rate: 0.5\n  word: abc\n"
        ),
        "strategy/plain.yaml": "_target_: my_nas.Plain\nlength: 7\n",
        "strategy/mixing/mine.yaml": "_target_: my_nas.Mixing\nsharpness: 2.0\n",
        "experiment/mine.yaml": (
            "# @package _global_\ndefaults:\n  - _self_\n  - override /strategy: random\n"
            "  - override /dataset: cifar100\n\nseed: 5\nstrategy:\n  evaluations: 7\n"
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_order_of_precedence(user: Path) -> None:
    def dataset(*overrides: str) -> Any:
        found = compose("search", list(overrides), user)
        return found["names"]["dataset"], found["seed"], found["strategy"].get("evaluations")

    assert dataset() == ("digits", 0, None)
    assert dataset("strategy=random") == ("cifar10", 0, 100)  # the strategy's choice beats the defaults
    assert dataset("+experiment=mine") == ("cifar100", 5, 7)  # the experiment beats the strategy's choice
    assert dataset("+experiment=mine", "dataset=imagenet16", "seed=9", "strategy.evaluations=1") == ("imagenet16", 9, 1)
    assert dataset("dataset=imagenet16", "+experiment=mine")[0] == "imagenet16"  # in whatever order
    assert dataset("strategy=random", "dataset=cifar100")[0] == "cifar100"


def test_a_user_s_own_groups(user: Path) -> None:
    assert "mine" in choices(user)["strategy"]
    assert "mine" in choices(user)["strategy/mixing"]
    check_overrides("search", ["strategy=mine", "strategy.length=4", "strategy.rate=1", "strategy.word=x"], user)
    check_overrides("search", ["strategy=plain,mine", "strategy.length=4"], user)
    check_overrides("search", ["strategy/mixing=mine", "strategy.mixing.sharpness=3"], user)
    found = compose("search", ["strategy=mine", "strategy.length=4"], user)
    assert found["strategy"] == {"_target_": "my_nas.Mine", "length": 4, "rate": 0.5, "word": "abc"}
    assert found["names"]["space"] == "branin"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["strategy=mime"], "strategy=mime: no such strategy (did you mean mine?); there are "),
        (["strategy=mine", "strategy.lenght=4"], "strategy.lenght: no such key (did you mean strategy.length?)"),
        (["strategy=mine", "+strategy.width=4"], "strategy.width: no such key"),
        (["strategy=mine", "strategy.length=long"], "strategy.length=long: must be a whole number, like the default 3"),
        (["strategy=mine", "strategy.rate=x"], "strategy.rate=x: must be a number, like the default 0.5"),
        (["strategy=mine", "strategy.word=3"], "strategy.word=3: must be text, like the default abc"),
        (["strategy=plain", "strategy.rate=1"], "strategy.rate: no such key"),
        (["strategy=mine", "strategy.epochs=3"], "strategy.epochs: no such key"),
    ],
)
def test_a_user_s_own_groups_are_checked_too(user: Path, overrides: list[str], message: str) -> None:
    assert refused(*overrides, config_dir=user).startswith(message)


def test_without_the_folder_they_do_not_exist() -> None:
    assert refused("strategy=mine").startswith("strategy=mine: no such strategy")


@pytest.mark.parametrize(
    "text",
    ["_target_: [\n", "defaults:\n  - nothing_like_this: x\n", "_target_: a.B\nlength: ${no.such.key}\n", "a: b: c\n"],
)
def test_a_broken_file_of_a_user_is_told_in_one_line(user: Path, text: str) -> None:
    (user / "strategy" / "plain.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        compose("search", ["strategy=plain"], user)
    assert "\n" not in str(caught.value)


def test_composing_leaves_no_trace_in_hydra() -> None:
    before = GlobalHydra.instance().hydra
    compose("search", [])
    with pytest.raises(InputError):
        compose("search", ["strategy=darts", "strategy.epoch=1"])
    assert GlobalHydra.instance().hydra is before


def test_choices() -> None:
    found = choices()
    assert found["experiment"] == sorted(found["experiment"])
    assert "darts/cifar10_second_order" in found["experiment"]
    assert "digits" in found["dataset"]
    assert "softmax" in found["strategy/mixing"]
    assert not [group for group in found if group.startswith("hydra")]
    assert "search" not in found
    assert all(names for names in found.values())


def test_the_configs_are_found_beside_or_inside_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (configs_folder() / "search.yaml").is_file()
    package = tmp_path / "nas_cli"
    (package / "configs").mkdir(parents=True)
    monkeypatch.setattr(config, "__file__", str(package / "config.py"))
    assert configs_folder() == package / "configs"
    (package / "configs").rmdir()
    assert configs_folder() == tmp_path / "configs"


printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12)


@given(printable.filter(lambda text: "${" not in text))
@settings(max_examples=40, deadline=None)
def test_a_text_is_written_so_that_it_is_read_unchanged(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides([f"key={literal(text)}"])
    assert parsed.value() == text


@pytest.mark.parametrize(
    "value", [None, True, False, 0, -3, 1.5, 1e-5, [], ["none", 'a "b"'], [0.5, [1, None]], {"a": 1, "b": {"c": "d e"}}]
)
def test_plain_values_are_written_so_that_they_are_read_unchanged(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides([f"key={literal(value)}"])
    assert parsed.value() == value


def test_a_root_with_any_name(tmp_path: Path) -> None:
    root = str(tmp_path / 'über "alles", [x]=1')
    assert compose("search", ["dataset=cifar10", f"dataset.root={literal(root)}"])["dataset"]["root"] == root


def test_one_line() -> None:
    assert one_line(ValueError("a\n  b\tc ")) == "a b c"


@pytest.mark.parametrize("primary", ["search", "evaluate"])
def test_the_top_level_is_what_the_primary_file_composes(primary: str) -> None:
    from nas_cli.config import TOP_LEVEL, compose

    found = compose(primary, [])
    # The estimator that a space chooses is null in an evaluation.
    keys = {key for key, part in found.items() if key in TOP_LEVEL[primary] or part is not None}
    assert keys | {"command", "config_dir"} == set(TOP_LEVEL[primary])
