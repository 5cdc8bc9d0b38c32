"""No data at all, for what is judged by a formula."""

from __future__ import annotations


class NoData:
    """Stands where a data set would. It is none: whatever needs one refuses this by its class.

    Args:
        name: the name under which it was configured.
    """

    def __init__(self, name: str) -> None:
        self.name = name
