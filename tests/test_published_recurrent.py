"""Published recurrent cells: the texts of the sheet, and counts of the language models that they make."""

from __future__ import annotations

import pytest
import torch

from nas_cli import published
from nas_cli.cost import count
from nas_cli.networks.recurrent import NO_DROPOUT, LanguageModel, RecurrentNodes
from nas_cli.spaces.darts_recurrent import genotype_of

CELLS = {
    "rnn_darts_v1": "relu:0 relu:1 tanh:2 relu:3 relu:4 identity:1 relu:5 relu:1",
    "rnn_darts_v2": "sigmoid:0 relu:1 relu:1 identity:1 tanh:2 sigmoid:5 tanh:3 relu:5",
    "rnn_enas": "tanh:0 tanh:1 relu:1 tanh:3 tanh:3 relu:3 relu:4 relu:7 relu:8 relu:8 relu:8 ; mean 2,5,6,9,10,11",
}
# Penn Treebank at a size of 850: the sheet's for eight nodes; each further node has a matrix more.
PARAMETERS = {"rnn_darts_v1": 22_960_000, "rnn_darts_v2": 22_960_000, "rnn_enas": 22_960_000 + 3 * 850 * 1700}


def test_all_recurrent_cells_are_here() -> None:
    assert {name for name in published.names() if published.record(name)["space"] == "darts_recurrent"} == set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_those_of_the_sheet(name: str) -> None:
    assert published.load(name).decisions == (CELLS[name],)
    assert str(genotype_of(published.load(name))) == CELLS[name]


@pytest.mark.parametrize("name", CELLS)
def test_counts_are_those_of_the_network(name: str) -> None:
    record = published.record(name)
    counts, genotype = record["counts"], genotype_of(published.load(name))
    hidden, words = counts["hidden"], counts["words"]
    assert (hidden, words) == (850, 10_000)
    measured = count(
        lambda: LanguageModel(RecurrentNodes(genotype, hidden), words, hidden, NO_DROPOUT), (1,), torch.int64
    )
    assert measured.params == counts["params"] == PARAMETERS[name]
    assert measured.macs == counts["macs"]
    assert measured.params / 1e6 == pytest.approx(record["reported"]["params_millions"], rel=0.15)
