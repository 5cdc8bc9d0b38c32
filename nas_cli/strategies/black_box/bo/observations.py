"""What a strategy was told."""

from __future__ import annotations

from typing import Any

from nas_cli.architecture import Architecture


class Observations:
    """Judged architectures with scores and durations, in the order told, and those that could not be judged."""

    def __init__(self) -> None:
        self.judged: list[Architecture] = []
        self.scores: list[float] = []
        self.seconds: list[float] = []
        self._known: dict[Architecture, None] = {}  # a set in order

    def add(self, architecture: Architecture, score: float | None, seconds: float | None) -> None:
        """Take note of a trial; without a score it failed."""
        self._known[architecture] = None
        if score is not None:
            self.judged.append(architecture)
            self.scores.append(score)
            self.seconds.append(seconds or 0.0)

    def knows(self, architecture: Architecture) -> bool:
        """Whether there was a trial of it, failed or not."""
        return architecture in self._known

    @property
    def failed(self) -> list[Architecture]:
        """Those that could never be judged, in the order told."""
        judged = set(self.judged)
        return [architecture for architecture in self._known if architecture not in judged]

    def ranked(self) -> list[Architecture]:
        """Architectures by falling score, each once."""
        order = sorted(range(len(self.scores)), key=lambda k: -self.scores[k])
        return list(dict.fromkeys(self.judged[k] for k in order))

    def state_dict(self) -> dict[str, Any]:
        return {
            "judged": [architecture.to_json() for architecture in self.judged],
            "scores": list(self.scores),
            "seconds": list(self.seconds),
            "known": [architecture.to_json() for architecture in self._known],
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Observations:
        made = cls()
        made.judged = [Architecture.from_json(each) for each in state["judged"]]
        made.scores = list(state["scores"])
        made.seconds = list(state["seconds"])
        made._known = dict.fromkeys(Architecture.from_json(each) for each in state["known"])
        return made
