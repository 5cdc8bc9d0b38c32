"""Every YAML file under configs/ against the class that it names; a new part is held to this without an edit here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas_cli import config as configuration
from nas_cli import published, session
from nas_cli.build import build, check, resolve
from nas_cli.data.base import Dataset
from nas_cli.errors import InputError

CONFIGS = configuration.configs_folder()
#: What the program gives to a part that asks for it by name.
INJECTED = {"name", "space", "dataset", "hardware", "seed", "estimator"}
#: How many files there were when this was written. There may be more, never fewer.
AT_LEAST = {
    "dataset": 15,
    "estimator": 5,
    "estimator/schedule": 2,
    "evaluation": 14,
    "executor": 1,
    "experiment": 34,
    "hardware": 1,
    "space": 9,
    "strategy": 11,
    "strategy/architecture_gradient": 4,
    "strategy/derivation": 4,
    "strategy/diagnostics": 3,
    "strategy/mixing": 5,
    "strategy/optimizer": 2,
    "strategy/regularisers": 4,
    "strategy/stages": 2,
    "strategy/stopping": 4,
}
#: Options whose name says all.
SELF_EXPLAINING = {"batch_size", "momentum", "weight_decay", "label_smoothing", "_target_"}

CHOICES = [(group, name) for group, names in configuration.choices().items() for name in names]
PARTS = [(group, name) for group, name in CHOICES if group not in ("experiment", "judging")]
GROUPS = {group for group, _ in PARTS if "/" not in group}
EXPERIMENTS = [name for group, name in CHOICES if group == "experiment"]


def text_of(group: str, name: str) -> str:
    return (CONFIGS / group / f"{name}.yaml").read_text()


def part_of(text: str, group: str) -> tuple[dict[str, Any], set[str]]:
    """The mapping that describes the part, and the names of the parts that its defaults list puts into it."""
    content = yaml.safe_load(text)
    if not text.startswith("# @package _global_"):
        joined = {key for entry in content.pop("defaults", []) if isinstance(entry, dict) for key in entry}
        # In a group of which several can be chosen, each stands under its own name.
        (several,) = [content] if "_target_" in content else content.values()
        return several, joined
    # A strategy may also say how large the space and how long the training is that suit it, an evaluation how large the
    # images are.
    others = {"strategy": GROUPS, "evaluation": {"dataset"}}.get(group, set())
    strangers = set(content) - {"defaults", group} - others
    assert not strangers, f"outside of {group}: {', '.join(sorted(strangers))}"
    # `- mixing@strategy.mixing: softmax` puts a part at strategy.mixing.
    joined = [key.partition("@")[2] for entry in content["defaults"] if isinstance(entry, dict) for key in entry]
    names = {key.removeprefix(f"{group}.") for key in joined if key.startswith(f"{group}.")}
    # What is set of such a part here, beside its own file, is checked where it is built.
    return {option: value for option, value in content[group].items() if option not in names}, names


def is_one_of_several(group: str, name: str) -> bool:
    """Whether a part stands under its own name, so that any number of its group can be chosen."""
    return "_target_" not in yaml.safe_load(text_of(group, name)) and not text_of(group, name).startswith("# @package")


def faults_in(part: dict[str, Any], joined: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """Where the options of a part, and of the parts in it, are not exactly those of the constructors."""
    made = resolve(part["_target_"])
    parameters = {name for name in inspect.signature(made).parameters if name not in INJECTED}
    options = {key for key in part if not key.startswith("_")} | set(joined)
    faults = [f"{made.__name__} has no option {name}" for name in sorted(options - parameters)]
    faults += [f"{name} of {made.__name__} is not listed" for name in sorted(parameters - options)]
    for value in part.values():
        if isinstance(value, dict) and "_target_" in value:
            faults += faults_in(value)
    return faults


def is_taken_over(value: Any) -> bool:
    """Whether a value is another option's, by interpolation."""
    return isinstance(value, str) and value.startswith("${")


def defaults_that_differ(part: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Options whose value is not the constructor's default, where it has one."""
    parameters = inspect.signature(resolve(part["_target_"])).parameters
    different = {}
    for name, value in part.items():
        if name.startswith("_") or parameters[name].default is inspect.Parameter.empty or is_taken_over(value):
            continue
        if isinstance(value, dict) and "_target_" in value:
            value = build(value, name, object)  # a part is compared with the part that the constructor has
        plain = tuple(value) if isinstance(value, list) else value
        if plain != parameters[name].default:
            different[name] = (plain, parameters[name].default)
    return different


def test_every_file_is_walked() -> None:
    counts = {group: len(names) for group, names in configuration.choices().items()}
    assert not {group for group, count in AT_LEAST.items() if counts.get(group, 0) < count}
    files = {path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml")}
    assert {f"{group}/{name}" for group, name in CHOICES} == {
        file for file in files if "/" in file and not file.startswith(("hydra/", "table/"))
    }
    assert {file for file in files if "/" not in file} == {"search", "evaluate"}


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_options_are_exactly_those_of_the_constructor(group: str, name: str) -> None:
    assert faults_in(*part_of(text_of(group, name), group)) == []


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_values_are_of_types_that_the_constructor_accepts(group: str, name: str) -> None:
    part, joined = part_of(text_of(group, name), group)
    given = dict.fromkeys([*INJECTED, *joined])
    own = {option: value for option, value in part.items() if not is_taken_over(value)}
    assert check(own, group, object, given) == []


@pytest.mark.parametrize("target", sorted({part_of(text_of(*choice), choice[0])[0]["_target_"] for choice in PARTS}))
def test_the_values_are_the_constructors_defaults(target: str) -> None:
    """Of several files for one class (a recipe), one holds its defaults and the others are what papers used."""
    files = {}
    for group, name in PARTS:
        part, _ = part_of(text_of(group, name), group)
        if part["_target_"] == target:
            files[f"{group}/{name}"] = defaults_that_differ(part)
    assert {} in files.values(), files


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_the_first_comment_is_the_command_that_runs_it(group: str, name: str) -> None:
    comments = [line for line in text_of(group, name).splitlines() if line.startswith("#")]
    first = next(line for line in comments if "@package" not in line)
    command = r"\bnas-evaluate " if group == "evaluation" else r"\bnas-run "
    assert re.search(command, first), first
    assert re.search(rf"[ +]{group}=\[?{name}\b", first) or (name == "default" and f" {group}." in first), first


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_every_option_is_explained(group: str, name: str) -> None:
    body = text_of(group, name)
    if body.startswith("# @package _global_"):
        body = body[body.index(f"\n{group}:") :]
    silent = [
        line.strip()
        for line in body.splitlines()
        if (match := re.match(r" *(\w+): *\S", line)) and "#" not in line and match[1] not in SELF_EXPLAINING
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("pattern", "replacement", "fault"),
    [
        (r"\n  epochs: 5.*", "\n  epoch: 5", "GradientSearch has no option epoch"),
        (r"\n  epochs: 5.*", "", "epochs of GradientSearch is not listed"),
        (r"\nstrategy:", "\nepochs: 5\nstrategy:", "outside of strategy: epochs"),
        (r"@strategy\.mixing:", "@strategy.mixin:", "GradientSearch has no option mixin"),
        (r"\n  - mixing@.*", "", "mixing of GradientSearch is not listed"),
    ],
)
def test_these_checks_do_find_a_fault(pattern: str, replacement: str, fault: str) -> None:
    text, changes = re.subn(pattern, replacement, text_of("strategy", "darts"))
    assert changes == 1
    try:
        faults = faults_in(*part_of(text, "strategy"))
    except AssertionError as error:
        faults = [str(error).splitlines()[0]]
    assert fault in faults


def test_a_nested_option_is_checked_too() -> None:
    part, joined = part_of(text_of("estimator", "train"), "estimator")
    part["recipe"]["epoch"] = part["recipe"].pop("epochs")
    assert faults_in(part, joined) == ["Recipe has no option epoch", "epochs of Recipe is not listed"]


def test_a_changed_default_is_found() -> None:
    part, _ = part_of(text_of("dataset", "cifar10"), "dataset")
    assert defaults_that_differ(part) == {}
    part["augmentation"]["flip"] = False
    part["download"] = True
    assert set(defaults_that_differ(part)) == {"augmentation", "download"}


STRATEGY_PARTS = [(group, name) for group, name in PARTS if group.startswith("strategy/")]


def hosts_of(option: str) -> list[str]:
    """The strategies that have such a part."""
    return [name for name in configuration.choices()["strategy"] if f"- {option}@" in text_of("strategy", name)]


@pytest.mark.parametrize(("group", "name"), STRATEGY_PARTS)
def test_a_part_can_be_chosen_in_every_strategy_that_has_such_a_part(group: str, name: str) -> None:
    """What a strategy's file sets of the part that it chooses stays there when another is chosen."""
    option = group.partition("/")[2]
    assert hosts_of(option), "no strategy has this part"
    part, _ = part_of(text_of(group, name), group)
    for host in hosts_of(option):
        left = yaml.safe_load(text_of("strategy", host))["strategy"].get(option, {})
        if is_one_of_several(group, name):
            assert set(left) <= {name}, host
            left = left.get(name, {})
        both = {key: value for key, value in {**part, **left}.items() if not is_taken_over(value)}
        assert check(both, option, object, dict.fromkeys(INJECTED)) == [], host


@pytest.fixture
def _no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to work in, and data sets that must not be read."""

    def read(self: Dataset) -> Any:
        raise AssertionError(f"{self.name} was read")

    for group, name in PARTS:
        if group == "dataset":
            kind = resolve(part_of(text_of(group, name), group)[0]["_target_"])
            for part in {"train", "valid", "test"} & set(dir(kind)):
                monkeypatch.setattr(kind, part, read)
    monkeypatch.chdir(tmp_path)


def parts_of(primary: str, *overrides: str) -> Any:
    """The parts that a command line composes, all built."""
    config = configuration.compose(primary, overrides)
    return session._Parts({"command": primary, **config})


def holds(config: Any, given: Any) -> bool:
    """Whether a configuration has what was given, whatever else it has."""
    if isinstance(given, dict):
        return isinstance(config, dict) and all(key in config and holds(config[key], given[key]) for key in given)
    return bool(config == given)


def in_group(group: str) -> list[str]:
    return [name for other, name in CHOICES if other == group]


@pytest.mark.usefixtures("_no_data")
class TestEverythingBuilds:
    """Without a single image: what is wrong comes to light before any work."""

    @pytest.mark.parametrize("name", in_group("strategy"))
    def test_a_strategy_alone(self, name: str) -> None:
        assert parts_of("search", f"strategy={name}").search.score_name

    @pytest.mark.parametrize("name", [name for name in in_group("dataset") if name != "none"])
    def test_a_data_set_to_train_on(self, name: str) -> None:
        images, text = ["strategy=random", "space=darts", "estimator=train"], ["space=darts_recurrent"]
        parts = self._first("search", [[*others, f"dataset={name}"] for others in (images, text)])
        assert parts.dataset.name == name

    @pytest.mark.parametrize("name", in_group("space"))
    def test_a_space_with_some_estimator(self, name: str) -> None:
        assert self._some(f"space={name}", "estimator").space.name == name

    @pytest.mark.parametrize("name", in_group("estimator"))
    def test_an_estimator_with_some_strategy(self, name: str) -> None:
        assert self._some(f"estimator={name}", "strategy", "space")

    @pytest.mark.parametrize("name", in_group("evaluation"))
    def test_an_evaluation(self, name: str) -> None:
        # Of each space that has any one published architecture.
        examples = {published.load(known).space: known for known in published.names()}
        chosen = [[f"space={space}", f"architecture={known}"] for space, known in examples.items()]
        parts = self._first("evaluate", [[*others, f"evaluation={name}"] for others in chosen])
        assert parts.search.recipe.epochs > 0

    @pytest.mark.parametrize("name", in_group("executor"))
    def test_an_executor(self, name: str) -> None:
        if name == "ray":
            pytest.importorskip("ray")  # an extra
        search = parts_of("search", "strategy=random", f"executor={name}").search
        assert search.executor.workers >= 1
        search.close()

    @pytest.mark.parametrize("name", EXPERIMENTS)
    def test_an_experiment(self, name: str) -> None:
        parts = parts_of("search", f"+experiment={name}")
        # What the experiment sets is known to the parts; a misplaced key would be a new section.
        assert set(parts.config) == set(parts_of("search").config)
        given = yaml.safe_load(text_of("experiment", name))
        for section, options in given.items():
            if section == "defaults":
                continue
            assert holds(parts.config[section], options)

    @pytest.mark.parametrize(("group", "name"), STRATEGY_PARTS)
    def test_a_part_of_a_strategy(self, group: str, name: str) -> None:
        option, several = group.partition("/")[2], is_one_of_several(group, name)
        chosen = f"{group}=[{name}]" if several else f"{group}={name}"
        cells = ["space=nasbench201", "estimator=table", "dataset=cifar10"]  # some compare nothing but cells
        layers = ["space=chain_cnn", "space.layers=[6,8]"]  # a number of them can grow
        hosts = hosts_of(option)
        text = ["space=recurrent_tree"]  # its models have a perplexity
        several_on = ([], cells, layers, text)
        parts = self._first("search", [[f"strategy={host}", *on, chosen] for on in several_on for host in hosts])
        found = parts.config["strategy"][option]
        targets = [each["_target_"] for each in (found.values() if several else [found])]
        assert targets == [part_of(text_of(group, name), group)[0]["_target_"]]

    def _some(self, override: str, *groups: str) -> Any:
        """The first combination with choices of these groups that goes together."""
        combinations = [[override]]
        for group in groups:
            names = sorted(in_group(group), key=lambda name: name not in ("random", "darts"))  # most go with these
            combinations = [[*others, f"{group}={name}"] for others in combinations for name in names]
        if "strategy" not in groups:
            combinations = [[f"strategy={name}", *others] for name in ("random", "darts") for others in combinations]
        return self._first("search", combinations)

    def _first(self, primary: str, combinations: list[list[str]]) -> Any:
        """The first of some command lines whose parts go together."""
        refused = []
        for overrides in combinations:
            try:
                return parts_of(primary, *overrides)
            except InputError as error:  # also where a strategy sets an option that another space has not
                refused.append(str(error))
        raise AssertionError(refused)
