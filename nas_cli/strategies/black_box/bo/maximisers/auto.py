"""The maximiser that suits a space and a kernel."""

from __future__ import annotations

from collections.abc import Iterable

from nas_cli.architecture import Architecture
from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.acquisitions import Acquisition
from nas_cli.strategies.black_box.bo.kernels.base import Covariance
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.maximisers.base import Hunt, Maximiser
from nas_cli.strategies.black_box.bo.maximisers.continuous import Mixed, Multistart
from nas_cli.strategies.black_box.bo.maximisers.discrete import Candidates, Enumerate

MOST = 20_000  # architectures that are enumerated unasked


class Auto(Maximiser):
    """Multistart where all decisions are real, mixed where some are; else all architectures, or candidates."""

    def for_(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        return self.chosen(space, covariance, acquisition).for_(space, covariance, acquisition)

    def chosen(self, space: Space, covariance: Covariance, acquisition: Acquisition) -> Maximiser:
        """The maximiser that it stands for."""
        if acquisition.draws_function and not covariance.pathwise:
            return Candidates()
        size = space.size()
        if size is not None:
            return Enumerate() if size <= MOST else Candidates()
        if not isinstance(covariance.inputs, Box):
            return Candidates()
        return Multistart() if covariance.inputs.is_real else Mixed()

    def best(self, hunt: Hunt) -> Iterable[Architecture]:
        raise NotImplementedError("it stands for another maximiser")
