"""The kernel that suits a space."""

from __future__ import annotations

from nas_cli.spaces.base import Space
from nas_cli.strategies.black_box.bo.kernels.base import Covariance, Kernel
from nas_cli.strategies.black_box.bo.kernels.box import Box
from nas_cli.strategies.black_box.bo.kernels.discrete import Categorical, Mixed
from nas_cli.strategies.black_box.bo.kernels.stationary import Stationary
from nas_cli.strategies.black_box.bo.kernels.wl import WL, has_graph


class Auto(Kernel):
    """Matérn 5/2 where all decisions are real, WL where they make a cell, categorical where they are, else mixed."""

    def on(self, space: Space) -> Covariance:
        return self.chosen(space).on(space)

    def chosen(self, space: Space) -> Kernel:
        """The kernel that it stands for."""
        box = Box(space)
        if box.is_real:
            return Stationary()
        if len(box.categorical) < box.columns:
            return Mixed()
        return WL() if has_graph(space) else Categorical()
