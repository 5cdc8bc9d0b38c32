"""The trained network of a finished evaluation, to go on with elsewhere."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from nas_cli import run_config
from nas_cli.build import build
from nas_cli.data.base import Dataset
from nas_cli.errors import InputError, require
from nas_cli.journal import load_checkpoint
from nas_cli.session import read_result
from nas_cli.spaces.base import NetworkSpace
from nas_cli.training import Recipe


def load_network(folder: str | Path) -> nn.Module:
    """The image network that a run of `nas-evaluate` trained, on the CPU, in evaluation mode.

    Its weights are those that were tested: their moving average where the recipe has one. No data are read; unlike a
    report, this makes the classes that the run's `config.yaml` names, so do it with runs that you trust.

    Args:
        folder: the run folder.
    Raises:
        InputError: for a folder of another kind, or a run that trained nothing or has not finished.
    """
    folder = Path(folder)
    config = run_config.read(folder)
    require(config["command"] == "evaluate", f"{folder}: no run of nas-evaluate, which is what trains a network")
    architecture = read_result(folder).architecture
    space = build(config["space"], "space", NetworkSpace, name=config["names"]["space"])
    dataset = build(config["dataset"], "dataset", Dataset, name=config["names"]["dataset"])
    recipe = build(config["evaluation"], "evaluation", Recipe)
    state = load_checkpoint(folder / "checkpoint.pt")
    if state is None or state["search"]["training"] is None:
        raise InputError(f"{folder}: has no trained network; were there any epochs?")
    network = recipe.build(architecture, space, dataset)
    training = state["search"]["training"]
    network.load_state_dict({**training["network"], **training["average"]})
    return network.eval()
