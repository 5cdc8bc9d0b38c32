"""The evaluation phase: train one architecture from scratch on all training data, then test it once."""

from __future__ import annotations

import logging
import math
import time
from functools import cached_property
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import NasError
from nas_cli.hardware import Hardware
from nas_cli.journal import Trial
from nas_cli.recipe import EvaluationRecipe, ResumableTraining
from nas_cli.runner import Best, Search, Step
from nas_cli.spaces.base import Space

log = logging.getLogger(__name__)

#: Prefixes of the metrics that are a result; others (``train_``, ``learning_rate``) tell of the last epoch.
REPORTED = ("test_", "valid_", "best_")


class Evaluation(Search):
    """A search with one candidate: trained step by step, tested after the last one.

    The test data are read once, at the end, so that no choice can lean on them. With no epochs nothing is read at all,
    and only parameters and multiply-adds are counted.

    Raises `InputError` where the recipe does not go with the space or the data set, or the architecture is none of the
    space's.
    """

    def __init__(
        self,
        recipe: EvaluationRecipe,
        architecture: Architecture,
        space: Space,
        dataset: Any,
        hardware: Hardware,
        seed: int,
    ) -> None:
        architecture = space.adopt(architecture)
        recipe.check_parts(space, dataset)
        self.score_name = recipe.score_name
        self.recipe = recipe
        self.architecture = architecture
        self.space = space
        self.dataset = dataset
        self.hardware = hardware
        self.seed = seed
        self._trial: Trial | None = None
        self._spent = 0.0

    def _new_training(self) -> ResumableTraining:
        return self.recipe.training(self.architecture, self.space, self.dataset, self.hardware, self.seed)

    @cached_property
    def _training(self) -> ResumableTraining:
        return self._new_training()

    @property
    def total(self) -> int:
        return self._training.total_steps if self.recipe.epochs else 0

    @property
    def position(self) -> int:
        return self._training.step_count if self.recipe.epochs else 0

    @property
    def done(self) -> bool:
        return self._trial is not None or self.recipe.epochs == 0

    @property
    def evaluations(self) -> int:
        return int(self._trial is not None)

    def step(self) -> Step:
        began = time.time()
        metrics = None
        if not self._training.done:
            metrics = self._training.step()
        if not self._training.done:
            self._spent += time.time() - began
            return Step(metrics=metrics, figures=self._training.figures)
        tested = self._training.tested()
        finished = time.time()
        self._spent += finished - began
        trial = Trial(
            index=0,
            architecture=self.architecture,
            score=self.recipe.score(tested),
            metrics={**(metrics or {}), **tested},
            cost_seconds=self._spent,
            budget=self.recipe.epochs,
            started=finished - self._spent,  # as if it had been done in one sitting
            finished=finished,
        )
        return Step(trials=(trial,), metrics=metrics, figures=tested)

    def tell(self, trial: Trial) -> None:
        self._trial = trial

    def best(self) -> Best:
        counts = self.recipe.counts(self.architecture, self.space, self.dataset)
        if self._trial is None or self._trial.score is None:
            return Best(self.architecture, math.nan, counts)
        tested = {name: value for name, value in self._trial.metrics.items() if name.startswith(REPORTED)}
        return Best(self.architecture, self._trial.score, {**tested, **counts})

    def confirm(self, state: dict[str, Any]) -> None:
        """Test a network made anew from the saved state. Raises `NasError` unless it does exactly as well."""
        if self._trial is None:
            return
        again = self._new_training()
        again.load_state_dict(state["training"])
        score = self.recipe.score(again.tested())
        if score != self._trial.score:
            raise NasError(f"the saved network tests at {score}, the trained one at {self._trial.score}: not the same")
        log.info("checkpoint reloaded and tested again: the same %s, %.6g", self.score_name.replace("_", " "), score)

    def state_dict(self) -> dict[str, Any]:
        training = self._training.state_dict() if self.recipe.epochs else None
        return {"training": training, "trial": self._trial and self._trial.to_json(), "spent": self._spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["training"] is not None:
            self._training.load_state_dict(state["training"])
        self._trial = state["trial"] and Trial.from_json(state["trial"])
        self._spent = state["spent"]
