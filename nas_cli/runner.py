"""The runner: steps a search, journals what it finds, saves its state, and stops cleanly. It knows no method."""

from __future__ import annotations

import logging
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nas_cli.architecture import Architecture
from nas_cli.errors import InputError, Interrupted
from nas_cli.journal import RunFolder, Trial
from nas_cli.progress import ProgressBar

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one step brought.

    Args:
        trials: candidates that were judged; the search hears of them through `Search.tell` once they are on disk.
        metrics: a line for `metrics.jsonl`, or None.
        figures: what a person wants to see now, for the progress bar.
    """

    trials: tuple[Trial, ...] = ()
    metrics: Mapping[str, Any] | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Best:
    """What a finished search has to say. `score` is maximised; `metrics` are fractions and counts."""

    architecture: Architecture
    score: float
    metrics: Mapping[str, float]


class Search(ABC):
    """A resumable sequence of steps; the one protocol that the runner knows.

    `step` is the unit that a signal does not break: after each one the state can be saved, and a search restored from
    it goes on exactly as if it had not been stopped.
    """

    #: What `Best.score` is called in `result.json`, e.g. ``valid_accuracy``.
    score_name: str

    def prepare(self) -> None:
        """Read what is needed; called once, before anything is written. Raises `InputError` where that fails."""
        _ = self.total  # of a training only its data can tell

    @property
    @abstractmethod
    def total(self) -> int | None:
        """How many steps there will be, where that is known."""

    @property
    @abstractmethod
    def position(self) -> int:
        """How many steps are done."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether there is nothing left to do."""

    @abstractmethod
    def step(self) -> Step:
        """Do the next piece of work."""

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Take note of a trial that is on disk."""

    def replay(self, trial: Trial) -> bool:
        """Take note of a trial that was journalled after the state was last saved, without measuring it again.

        False where that is not possible, because the steps that led to it changed more than a trial tells: they are
        done again, and make it again.
        """
        return False

    def news(self) -> Sequence[Mapping[str, Any]]:
        """Lines for `metrics.jsonl` that the trials told since the last call have led to, each given once.

        It is asked after every trial, also after one that is replayed: a resumed run has all lines of a whole one.
        """
        return ()

    def close(self) -> None:  # noqa: B027  (a hook, not a gap)
        """Let go of what runs besides this process; called once, however the run ended."""

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """How many trials it was told of."""

    @abstractmethod
    def best(self) -> Best:
        """The result. Raises `NasError` where no candidate could be judged."""

    def confirm(self, state: dict[str, Any]) -> None:  # noqa: B027  (a hook, not a gap)
        """Hold the result against the final state as it was read back from the disk; most have nothing to hold."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, as tensors and plain data."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""


def run(search: Search, folder: RunFolder, progress: ProgressBar, checkpoint_seconds: float = 30.0) -> float:
    """Run a search to its end, from whatever its folder already holds.

    Args:
        search: freshly built; restored here if the folder has a checkpoint or a journal.
        folder: where trials, metrics and checkpoints go.
        progress: what a person sees meanwhile.
        checkpoint_seconds: state is saved at least this often (and at the end, and when interrupted).

    Returns:
        Seconds of work, all sittings together.

    Raises `Interrupted` after SIGINT or SIGTERM, with the state saved.
    """
    spent = _restore(search, folder)
    began = saved = time.monotonic()

    def save() -> None:
        folder.save_checkpoint(
            {
                "search": search.state_dict(),
                "evaluations": search.evaluations,
                "metrics_bytes": folder.metrics.size(),
                "seconds": spent + time.monotonic() - began,
            }
        )

    if not folder.has_checkpoint():
        save()  # something good to keep should the first epoch diverge
    with _signals() as stop, progress.bar(search.total, search.position) as bar:
        while not search.done:
            step = search.step()
            for trial in step.trials:
                folder.trials.append(trial.to_json())
                search.tell(trial)
                _write_news(search, folder)
            if step.metrics is not None:
                folder.metrics.append(dict(step.metrics), sync=False)
            bar.advance(search.position, step.figures)
            if stop.requested:
                save()
                raise Interrupted(f"interrupted by {stop.requested}, state saved")
            # The end of an epoch is a good state to keep should the next one diverge.
            if step.metrics is not None or time.monotonic() - saved > checkpoint_seconds:
                save()
                saved = time.monotonic()
    save()
    state = folder.load_checkpoint()
    if state is not None:
        search.confirm(state["search"])
    return spent + time.monotonic() - began


def _restore(search: Search, folder: RunFolder) -> float:
    """Bring a search back to where its folder says it was; returns the seconds already spent."""
    folder.trials.repair()
    folder.metrics.repair()
    trials = folder.read_trials()
    state = folder.load_checkpoint()
    told = 0
    if state is not None:
        try:
            search.load_state_dict(state["search"])
            told = state["evaluations"]
            folder.metrics.cut(state["metrics_bytes"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder.path}/checkpoint.pt: does not fit this configuration ({reason})") from None
    else:
        folder.metrics.cut(0)
    if told > len(trials):
        raise InputError(f"{folder.trials.path}: {told} trials were saved, only {len(trials)} are there")
    # Metrics after the checkpoint will be made again; trials after it cost too much for that where it can be avoided.
    for number, trial in enumerate(trials[told:], start=told):
        if not search.replay(trial):
            folder.trials.keep(number)
            break
        _write_news(search, folder)
    return float(state["seconds"]) if state is not None else 0.0


def _write_news(search: Search, folder: RunFolder) -> None:
    for line in search.news():
        folder.metrics.append(dict(line), sync=False)


class _Stop:
    requested: str | None = None


@contextmanager
def _signals() -> Iterator[_Stop]:
    """Note a first SIGINT or SIGTERM, so that the step under way can finish; a second one stops at once.

    Outside the main thread signals are left to whoever owns them.
    """
    stop = _Stop()

    def note(number: int, frame: Any) -> None:
        if stop.requested:
            # No Exception, because a measurement that fails with one is judged and journalled.
            raise KeyboardInterrupt
        stop.requested = signal.Signals(number).name
        log.warning("%s: stopping after this step; once more to stop at once", stop.requested)

    try:
        previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread
        yield stop
        return
    try:
        yield stop
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; what was journalled is kept") from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
