"""What the hyper-parameter spaces have in common: their decisions as on the papers' tables, and that they learn."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import CPU, MadeUp

from nas_cli.architecture import Architecture
from nas_cli.data.convex import Convex
from nas_cli.data.generated import Rectangles
from nas_cli.data.idx import FashionMnist
from nas_cli.data.pydoc import Pydoc
from nas_cli.errors import CombinationError, InputError
from nas_cli.estimators.train import Train
from nas_cli.problems.cuda_convnet import CudaConvnet
from nas_cli.problems.dbn import Dbn
from nas_cli.problems.logistic_regression import LogisticRegression
from nas_cli.problems.mlp import Mlp
from nas_cli.problems.online_lda import OnlineLda
from nas_cli.spaces.learning import LearningProblem
from nas_cli.training import Recipe

LOGISTIC = LogisticRegression("logistic_regression", max_epochs=2000)
MLP = Mlp("mlp", 100, 1000)
DBN = Dbn("dbn", 100, 1000, max_cd_epochs=10_000, max_units=4096)
CONVNET = CudaConvnet("cuda_convnet")
LDA = OnlineLda("online_lda", max_batch_size=16_384)
TINY = [
    LogisticRegression("logistic_regression", max_epochs=6),
    Mlp("mlp", 1, 3, max_units=30),
    Dbn("dbn", 1, 3, max_cd_epochs=3, max_units=140),
    CudaConvnet("cuda_convnet", max_epochs=2),
]


def judge(space: LearningProblem, dataset: object, seed: int = 0) -> Train:
    return Train(space, dataset, CPU, seed, Recipe(), 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("space", "ranges"),
    [
        (
            LOGISTIC,
            {
                "learning_rate": (1e-3, 1, True),
                "l2_penalty": (0, 1, False),
                "batch_size": (20, 2000, True),
                "epochs": (5, 2000, True),
            },
        ),
        (
            MLP,
            {
                "pca_energy": (0.5, 1, False),
                "weight_multiple": (0.2, 2, False),
                "units": (18, 1024, True),
                "learning_rate": (0.001, 10, True),
                "anneal_start": (300, 30_000, True),
                "l2_penalty": (3.1e-7, 3.1e-5, True),
            },
        ),
        (
            DBN,
            {
                "zca_energy": (0.5, 1, False),
                "learning_rate": (0.001, 10, True),
                "anneal_start": (100, 10_000, True),
                "l2_penalty": (1e-7, 1e-4, True),
                "units_3": (128, 4096, True),
                "weight_multiple_3": (0.2, 2, False),
                "cd_epochs_3": (1, 10_000, True),
                "cd_learning_rate_3": (1e-4, 1, True),
                "cd_anneal_start_3": (10, 10_000, True),
            },
        ),
        (
            CONVNET,
            {
                "learning_rate": (1e-5, 1e-1, True),
                "l2_conv_1": (1e-5, 1, True),
                "l2_softmax": (1e-5, 1, True),
                "norm_scale": (1e-6, 1, True),
                "norm_power": (0.1, 2, False),
            },
        ),
        (LDA, {"kappa": (0.5, 1, False), "tau_0": (1, 1024, True), "batch_size": (1, 16_384, True)}),
    ],
)
def test_ranges(space: LearningProblem, ranges: dict[str, tuple[float, float, bool]]) -> None:
    decisions = {decision.name: decision for decision in space.decisions}
    found = {name: (decisions[name].low, decisions[name].high, decisions[name].log) for name in ranges}  # type: ignore[union-attr]
    assert found == ranges


def test_choices() -> None:
    choices = {d.name: d.choices for space in (MLP, CONVNET, DBN) for d in space.decisions if hasattr(d, "choices")}
    assert choices["batch_size"] == (20, 100)
    assert choices["norm_size"] == (1, 3, 5, 7, 9)
    assert choices["nonlinearity"] == ("tanh", "logistic")
    assert choices["layers"] == (1, 2, 3)
    seeds = [next(d.choices for d in space.decisions if d.name == "seed") for space in (MLP, DBN)]  # type: ignore[union-attr]
    assert [len(seed) for seed in seeds] == [3, 5]


def test_how_many_decisions_there_are() -> None:
    assert [len(space.decisions) for space in (LOGISTIC, MLP, CONVNET, LDA)] == [4, 13, 9, 3]
    # The paper's 32 = 8 + 3 x 8; that there is a penalty, and its size, are one of these and two of ours.
    names = [decision.name for decision in DBN.decisions]
    assert len(names) - 1 == 32
    assert [sum(name.endswith(f"_{number}") for name in names) for number in (1, 2, 3)] == [8, 8, 8]


def test_only_what_has_a_meaning_is_decided() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        chosen = MLP.values(MLP.sample(generator))
        assert (chosen["pca_energy"] is not None) == (chosen["preprocessing"] == "pca")
        assert (chosen["weight_multiple"] is not None) == (chosen["weight_scale"] == "fan_in")
        assert (chosen["l2_penalty"] is not None) == chosen["regularise"]
        chosen = DBN.values(DBN.sample(generator))
        assert (chosen["zca_energy"] is not None) == (chosen["preprocessing"] == "zca")
        for number in (1, 2, 3):
            own = [value for name, value in chosen.items() if name.endswith(f"_{number}")]
            multiple = chosen[f"weight_multiple_{number}"]
            assert own.count(None) == (8 if chosen["layers"] < number else (multiple is None))
            assert (multiple is not None) == (chosen[f"weight_scale_{number}"] == "fan_in")


@pytest.mark.parametrize("space", TINY, ids=lambda space: space.name)
def test_it_trains_for_real(space: LearningProblem) -> None:
    """A finite score that depends on candidate, seed and budget alone; no global generator is used."""
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    estimator = judge(space, MadeUp(images=60))
    drawn = [space.sample(np.random.default_rng(k)) for k in range(3)]
    first = [estimator.measure(candidate) for candidate in drawn]
    assert [estimator.measure(candidate).metrics for candidate in drawn] == [found.metrics for found in first]
    for found in first:
        assert found.score == found.metrics["valid_accuracy"]
        assert {"train_accuracy", "valid_loss", "test_accuracy"} <= set(found.metrics)
        assert all(math.isfinite(value) for value in found.metrics.values())
        assert found.cost_seconds > 0
        assert found.score * 30 == pytest.approx(round(found.score * 30))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index,union-attr]


def candidate(space: LearningProblem, **values: object) -> Architecture:
    return space.decode([values.get(decision.name) for decision in space.decisions])  # type: ignore[misc]


GOOD_MLP = {
    "preprocessing": "normalise",
    "weights": "uniform",
    "weight_scale": "glorot",
    "seed": 1,
    "units": 30,
    "nonlinearity": "tanh",
    "batch_size": 20,
    "learning_rate": 0.1,
    "anneal_start": 300,
    "regularise": False,
}


def test_good_values_learn_and_a_budget_caps_the_epochs() -> None:
    data = MadeUp(images=90)
    estimator = judge(TINY[1], data)
    good = candidate(TINY[1], **GOOD_MLP)
    assert estimator.measure(good).score > 0.8
    assert estimator.measure(good).metrics["epochs"] == 3
    assert estimator.measure(good, budget=1).metrics["epochs"] == 1
    logistic = judge(TINY[0], data)
    quick = candidate(TINY[0], learning_rate=0.5, l2_penalty=0.0, batch_size=20, epochs=6)
    assert logistic.measure(quick).metrics["valid_loss"] < logistic.measure(quick, budget=1).metrics["valid_loss"]


def test_the_seed_that_is_decided_changes_the_weights() -> None:
    estimator = judge(TINY[1], MadeUp(images=60))
    found = [estimator.measure(candidate(TINY[1], **{**GOOD_MLP, "seed": seed})).metrics for seed in (1, 2)]
    assert found[0]["valid_loss"] != found[1]["valid_loss"]


class OtherTest(MadeUp):
    """The same with other test images."""

    def test(self):  # type: ignore[no-untyped-def]
        return self._make(33, seed=5)


@pytest.mark.parametrize("space", TINY, ids=lambda space: space.name)
def test_the_test_images_change_nothing_but_their_own_metric(space: LearningProblem) -> None:
    drawn = space.sample(np.random.default_rng(1))
    found = [dict(judge(space, kind(images=60)).measure(drawn).metrics) for kind in (MadeUp, OtherTest)]
    for metrics in found:
        metrics.pop("test_accuracy")
    assert found[0] == found[1]


@pytest.mark.parametrize("dataset", [Rectangles("rectangles", 60, 20), Convex("convex", 60, 20)], ids=["r", "c"])
@pytest.mark.parametrize("space", TINY, ids=lambda space: space.name)
def test_each_learns_from_generated_images(space: LearningProblem, dataset: Rectangles | Convex) -> None:
    assert 0 <= judge(space, dataset).measure(space.sample(np.random.default_rng(3)), budget=1).score <= 1


class SomeFashion(FashionMnist):
    """The first of its images: enough to learn from in seconds."""

    def train(self):  # type: ignore[no-untyped-def]
        return super().train().subset(range(4000))

    def test(self):  # type: ignore[no-untyped-def]
        return super().test().subset(range(1000))


GOOD_DBN = {
    "preprocessing": "raw",
    "seed": 1,
    "learning_rate": 0.1,
    "anneal_start": 1000,
    "regularise": False,
    "batch_size": 20,
    "layers": 1,
    "units_1": 128,
    "weights_1": "uniform",
    "weight_scale_1": "glorot",
    "cd_epochs_1": 1,
    "cd_learning_rate_1": 0.001,
    "cd_anneal_start_1": 100,
    "cd_sample_1": False,
}
GOOD_CONVNET = {
    "epochs": 5,
    "learning_rate": 0.01,
    "norm_size": 3,
    "norm_scale": 5e-5,
    "norm_power": 0.75,
    **dict.fromkeys(("l2_conv_1", "l2_conv_2", "l2_conv_3", "l2_softmax"), 1e-5),
}


@pytest.mark.slow
@pytest.mark.skipif(
    FashionMnist.installed is None or not FashionMnist.installed.is_dir(), reason="dataset-fashion-mnist not installed"
)
@pytest.mark.parametrize(
    ("space", "values", "least"),
    [
        (TINY[0], {"learning_rate": 0.1, "l2_penalty": 0.0, "batch_size": 50, "epochs": 6}, 0.65),
        (TINY[1], GOOD_MLP, 0.65),
        (TINY[2], GOOD_DBN, 0.45),
        (CudaConvnet("cuda_convnet", max_epochs=6), GOOD_CONVNET, 0.5),
    ],
    ids=["logistic_regression", "mlp", "dbn", "cuda_convnet"],
)
def test_each_learns_from_fashion_mnist(
    space: LearningProblem, values: dict[str, object], least: float, tmp_path: Path
) -> None:
    """Good settings in seconds; chance is 0.1."""
    estimator = judge(space, SomeFashion("fashion_mnist", root=str(tmp_path)))
    found = estimator.measure(candidate(space, **values))
    assert found.score > least
    assert found.metrics["test_accuracy"] > least - 0.05
    drawn = space.sample(np.random.default_rng(3))  # of the whole range: most learn nothing in so short a time
    assert 0 <= estimator.measure(drawn, budget=1).score <= 1


def test_what_does_not_go_together_is_refused_without_reading() -> None:
    with pytest.raises(CombinationError, match="dataset=pydoc with space=mlp: it learns from images"):
        judge(MLP, Pydoc("pydoc"))
    with pytest.raises(CombinationError, match="dataset=made_up with space=online_lda: it learns from a text"):
        judge(LDA, MadeUp())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LogisticRegression("x", max_epochs=5), "max_epochs must be above 5, not 5"),
        (lambda: LogisticRegression("x", max_batch_size=20), "max_batch_size must be above 20"),
        (lambda: Mlp("x", max_units=18), "max_units must be above 18"),
        (lambda: Mlp("x", min_epochs=9, max_epochs=8), "min_epochs=9 must be between 1 and max_epochs=8"),
        (lambda: Dbn("x", max_units=128), "max_units must be above 128"),
        (lambda: Dbn("x", max_cd_epochs=1), "max_cd_epochs must be above 1"),
        (lambda: CudaConvnet("x", max_epochs=1), "max_epochs must be above 1"),
        (lambda: OnlineLda("x", topics=1), "topics must be at least 2"),
        (lambda: OnlineLda("x", epochs=0), "epochs must be at least 1"),
        (lambda: OnlineLda("x", max_batch_size=1), "max_batch_size must be at least 2"),
    ],
)
def test_options_out_of_range(make: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "dataset", "options"),
    [
        ("logistic_regression", "digits", ["space.max_epochs=6"]),
        ("mlp", "digits", ["space.min_epochs=1", "space.max_epochs=2"]),
        ("dbn", "digits", ["space.min_epochs=1", "space.max_epochs=2", "space.max_cd_epochs=2"]),
        ("cuda_convnet", "digits", ["space.max_epochs=2"]),
        ("online_lda", "pydoc", ["space.topics=2", "space.epochs=1"]),
    ],
)
def test_a_space_brings_its_estimator_and_data(
    run: Callable[..., int], name: str, dataset: str, options: list[str]
) -> None:
    command = ("nas-run", "strategy=random", f"space={name}", "strategy.evaluations=2", "hydra.run.dir=run")
    assert run(*command, *options) == 0
    result = json.loads(Path("run/result.json").read_text())
    assert (result["estimator"], result["dataset"], result["evaluations"]) == ("train", dataset, 2)
    assert math.isfinite(result["best"]["score"])
