"""Every way in which an override can be wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest
from refusals import refused

from nas_cli.config import check_overrides, compose

SEVERAL = "strategy/regularisers=[drop_path,skip_dropout]"
RATE, PROBABILITY = "strategy.regularisers.skip_dropout.rates", "strategy.regularisers.drop_path.probability"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        # a misspelt group, choice or key, with the nearest
        ("stratgy=darts", "stratgy: no such key (did you mean strategy?)"),
        ("strategy=drats", "strategy=drats: no such strategy (did you mean darts?); there are "),
        ("strategy=xxxxxxxx", "strategy=xxxxxxxx: no such strategy; there are "),
        ("strategy=Darts", "strategy=Darts: no such strategy (did you mean darts?)"),
        ("strategy=true", "strategy=True: no such strategy"),
        ("strategy=", "strategy=: no such strategy"),
        ("strategy={a:1}", "strategy={'a': 1}: no such strategy"),
        ("strategy/mixin=softmax", "strategy/mixin: no such group (did you mean strategy/mixing?)"),
        ("strategy/mixing=sofmax", "strategy/mixing=sofmax: no such strategy/mixing (did you mean softmax?)"),
        ("strategy.epoch=3", "strategy.epoch: no such key (did you mean strategy.epochs?)"),
        (
            "strategy.mixing.initial_scal=0",
            "strategy.mixing.initial_scal: no such key (did you mean strategy.mixing.ini",
        ),
        ("epochs=3", "epochs: no such key"),
        ("sed=3", "sed: no such key (did you mean seed?)"),
        ("+experiment=darts/cifar10_first", "experiment=darts/cifar10_first: no such experiment (did you mean darts/c"),
        # another strategy's option
        ("estimator.latency=pixel3", "estimator.latency: no such key"),
        # `+`, `++` and `~`
        (
            "+strategy.learnin_rate=1",
            "strategy.learnin_rate: no such key (did you mean strategy.optimizer.learning_rate?)",
        ),
        (
            "++strategy.learnin_rate=1",
            "strategy.learnin_rate: no such key (did you mean strategy.optimizer.learning_rate?)",
        ),
        ("+extra=1", "extra: no such key"),
        (
            "~strategy.learnin_rate",
            "strategy.learnin_rate: no such key (did you mean strategy.optimizer.learning_rate?)",
        ),
        ("~foo", "foo: no such key"),
        ("~strategy", "strategy: cannot be left out; there are "),
        ("strategy=null", "strategy: cannot be left out; there are "),
        # wrong types
        ("strategy.epochs=ten", "strategy.epochs=ten: must be a whole number, like the default 5"),
        ("strategy.epochs=1.5", "strategy.epochs=1.5: must be a whole number, like the default 5"),
        ("strategy.epochs=true", "strategy.epochs=True: must be a whole number, like the default 5"),
        ("strategy.epochs=", "strategy.epochs=: must be a whole number, like the default 5"),
        ("++strategy.epochs=x", "strategy.epochs=x: must be a whole number, like the default 5"),
        ("+strategy.epochs=x", "strategy.epochs=x: must be a whole number, like the default 5"),
        (
            "strategy.optimizer.learning_rate=high",
            "strategy.optimizer.learning_rate=high: must be a number, like the default 0.03",
        ),
        (
            "strategy.optimizer.learning_rate=[1]",
            "strategy.optimizer.learning_rate=[1]: must be a number, like the default 0.03",
        ),
        ("strategy.optimizer.betas=0.5", "strategy.optimizer.betas=0.5: must be a list, like the default [0.5, 0.999]"),
        ("hardware.compile=1", "hardware.compile=1: must be true or false, like the default False"),
        ("hardware.compile=yes_please", "hardware.compile=yes_please: must be true or false, like the default False"),
        ("hardware.device=0", "hardware.device=0: must be text, like the default auto"),
        ("dataset.augmentation.flip=0", "dataset.augmentation.flip=0: must be true or false, like the default False"),
        (
            "strategy.mixing=3",
            "strategy.mixing: is a group of options; set one of them (strategy.mixing.…), or choose another part with "
            "strategy/mixing=…",
        ),
        (
            "dataset.augmentation=3",
            "dataset.augmentation: is a group of options; set one of them (dataset.augmentation.…)",
        ),
        # sweeps
        ("strategy=darts,randm", "strategy=randm: no such strategy (did you mean random?)"),
        ("strategy.epochs=1,two", "strategy.epochs=two: must be a whole number"),
        ("strategy.epochs=choice(1,two)", "strategy.epochs=two: must be a whole number"),
        ("strategy.epochs=range(0.5,1.5)", "strategy.epochs=0.5: must be a whole number"),
        ("strategy.epoch=1,2", "strategy.epoch: no such key (did you mean strategy.epochs?)"),
        ("strategy.epoch=range(1,4)", "strategy.epoch: no such key (did you mean strategy.epochs?)"),
        ("strategy.epoch=glob(*)", "strategy.epoch: no such key (did you mean strategy.epochs?)"),
        # no override at all
        ("strategy", "strategy: not of the form key=value"),
        ("a b", "a b: not of the form key=value"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(override: str, message: str) -> None:
    assert refused(override).startswith(message)


@pytest.mark.parametrize(
    "overrides",
    [
        ["strategy=random", "strategy.epochs=3"],
        ["strategy=random,darts", "strategy.epochs=3"],  # wrong for one of the two
        ["strategy=darts,random", "strategy.epochs=3"],
        ["strategy=glob(*)", "strategy.epochs=3"],
    ],
)
def test_options_are_held_against_the_choice_beside_them(overrides: list[str]) -> None:
    assert refused(*overrides).startswith("strategy.epochs: no such key")


def test_a_nested_choice_brings_its_own_options() -> None:
    second = "strategy/architecture_gradient=second_order"
    check_overrides("search", [second, "strategy.architecture_gradient.epsilon=0.1"])
    message = refused(second, "strategy.architecture_gradient.epsilom=0.1")
    assert "did you mean strategy.architecture_gradient.epsilon?" in message
    assert "no such key" in refused("strategy.architecture_gradient.epsilon=0.1")  # first order has none


def test_several_of_a_group_each_with_its_options() -> None:
    overrides = [SEVERAL, f"{RATE}=[0.1]", f"{PROBABILITY}=0.3", "strategy.warm_up=2"]
    check_overrides("search", overrides)
    found = compose("search", overrides)["strategy"]["regularisers"]
    assert list(found) == ["drop_path", "skip_dropout"]
    assert found["drop_path"]["probability"] == 0.3
    assert found["skip_dropout"]["rates"] == [0.1]
    assert set(found["skip_dropout"]) == {"_target_", "rates"}  # the search itself tells it of the warm-up
    assert compose("search", ["strategy=pdarts", "strategy/regularisers=[]"])["strategy"].get("regularisers") in (
        None,
        {},
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["strategy/regularisers=[drop_paht,skip_dropout]"],
            "strategy/regularisers=drop_paht: no such strategy/regularisers (did you mean drop_path?); there are ",
        ),
        (["strategy/regularisers=drop_paht"], "strategy/regularisers=drop_paht: no such strategy/regularisers"),
        (["strategy/regularisers=[drop_path],[skip]"], "strategy/regularisers=skip: no such strategy/regularisers"),
        ([SEVERAL, f"{PROBABILITY[:-1]}=0.3"], f"{PROBABILITY[:-1]}: no such key (did you mean {PROBABILITY}?)"),
        ([SEVERAL, f"{PROBABILITY}=high"], f"{PROBABILITY}=high: must be a number, like the default 0.2"),
        ([SEVERAL, f"{RATE}=0.1"], f"{RATE}=0.1: must be a list, like the default "),
        (["strategy/regularisers=[drop_path]", f"{RATE}=[0.1]"], f"{RATE}: no such key"),  # not chosen
        ([f"{PROBABILITY}=0.1"], f"{PROBABILITY}: no such key"),
    ],
)
def test_what_is_wrong_in_a_list_of_names(overrides: list[str], message: str) -> None:
    assert refused(*overrides).startswith(message)


def test_two_faults_in_a_list_of_names() -> None:
    message = refused("strategy/regularisers=[drop_paht,skip_dropuot]")
    assert "=drop_paht: no such" in message
    assert "; strategy/regularisers=skip_dropuot: no such" in message


def test_all_faults_at_once_and_each_once() -> None:
    message = refused("sed=3", "strategy.epoch=3", "strategy.optimizer.betas=x")
    assert message.split("; ") == [
        "sed: no such key (did you mean seed?)",
        "strategy.epoch: no such key (did you mean strategy.epochs?)",
        "strategy.optimizer.betas=x: must be a list, like the default [0.5, 0.999]",
    ]
    message = refused("strategy=drats", "dataset=digit", "strategy/mixin=x")
    assert all(part in message for part in ("no such strategy ", "; dataset=digit: ", "; strategy/mixin: "))
    assert refused("strategy=darts,random", "sed=1").count("sed:") == 1


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["strategy=darts", "strategy.epochs=3", "seed=1"],
        ["strategy=darts,random", "seed=0,1,2"],
        ["strategy=glob(d*)", "strategy.epochs=2"],
        ["strategy.optimizer.learning_rate=interval(0,1)"],
        ["seed=range(5)"],
        ["seed=choice(1,2)", "strategy.epochs=shuffle(1,2)"],
        ["strategy.optimizer.learning_rate=1"],
        ["estimator.weight_decay=1e-3"],
        ["hardware.threads=null"],
        ["strategy=random", "strategy.evaluations=null"],
        ["~strategy.epochs"],
        ["strategy/regularisers=[]", "strategy/diagnostics=[derived,credit]", "strategy.diagnostics.credit.every=2"],
        ["strategy/regularisers=drop_path"],
        ["strategy/regularisers=[],[drop_path],[drop_path,skip_dropout]"],
        ["hydra.run.dir=somewhere", "hydra/launcher=basic", "hydra.sweep.subdir=x"],
        ["+experiment=darts/cifar10_first_order", "strategy.epochs=1"],
        ["dataset=cifar10", "dataset.root='/a b/c'"],
        ["dataset=cifar10", "dataset.root=${oc.env:HOME}"],
        ["strategy.epochs=${seed}"],
        ["space.operations=[none,skip_connect]"],
        ["strategy/mixing=softmax", "strategy.mixing.initial_scale=0"],
        ["++strategy.epochs=3"],
    ],
)
def test_what_is_right_passes(overrides: list[str]) -> None:
    check_overrides("search", overrides)


def test_the_other_command_has_its_own_keys() -> None:
    check_overrides("evaluate", ["architecture=darts_v2", "evaluation=cifar10", "evaluation.epochs=0"])
    assert refused("evaluation=cifar", primary="evaluate").startswith(
        "evaluation=cifar: no such evaluation (did you mean cifar10?)"
    )
    assert "no such key" in refused("evaluation.epoch=0", primary="evaluate")
    assert "no such key" in refused("strategy.epochs=0", primary="evaluate")


def test_checking_imports_neither_torch_nor_other_heavy_packages() -> None:
    code = (
        "import sys\n"
        "from nas_cli.config import check_overrides, compose, choices\n"
        "choices()\n"
        "check_overrides('search', ['strategy=random', 'seed=0,1', 'strategy.evaluations=3'])\n"
        "compose('search', ['strategy=random', 'strategy.evaluations=3'])\n"
        "print({'torch', 'torchvision', 'sklearn', 'scipy', 'botorch', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"
