"""Texts in files: the two formats, and what is wrong with a file in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas_cli.data.text import END, UNKNOWN, PennTreebank, TextDataset, WikiText2
from nas_cli.errors import InputError

KINDS = [PennTreebank, WikiText2]


def write(folder: Path, kind: type[PennTreebank] | type[WikiText2], **texts: str) -> None:
    """Files of the right form: the training file has exactly as many words as it should."""
    target = folder / kind.folder
    target.mkdir(parents=True)
    # <unk> and the end of a line are two of the words.
    words = [UNKNOWN, *(f"w{number}" for number in range(kind.words - 2))]
    lines = [" ".join(words[begin : begin + 20]) for begin in range(0, len(words), 20)]
    parts = {"train": "\n".join(lines) + "\n", "valid": " w0 w1 \n w5 \n", "test": "w1 \n"} | texts
    for file, text in zip(kind.files, (parts["train"], parts["valid"], parts["test"]), strict=True):
        (target / file).write_text(text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_ends_in_a_word_of_its_own(kind: type[PennTreebank] | type[WikiText2], tmp_path: Path) -> None:
    write(tmp_path, kind)
    dataset = kind("some", root=str(tmp_path))
    assert len(dataset.vocabulary) == kind.words
    assert dataset.vocabulary[:3] == (UNKNOWN, "w0", "w1")  # in the order of their first appearance
    assert [dataset.vocabulary[token] for token in dataset.valid()] == ["w0", "w1", END, "w5", END]
    assert [dataset.vocabulary[token] for token in dataset.test()] == ["w1", END]
    train = dataset.train()
    assert train.dtype == torch.int64
    assert len(train) == kind.words - 1 + -(-(kind.words - 1) // 20)
    assert train.max() == kind.words - 1


def test_an_empty_line_is_a_line(tmp_path: Path) -> None:
    write(tmp_path, WikiText2, valid=" \n = w1 = \n \n".replace("=", "w2"))
    dataset = WikiText2("wikitext2", root=str(tmp_path))
    assert [dataset.vocabulary[token] for token in dataset.valid()] == [END, "w2", "w1", "w2", END, END]


@pytest.mark.parametrize("kind", KINDS)
def test_making_one_reads_nothing_and_a_missing_file_is_told(
    kind: type[PennTreebank] | type[WikiText2], tmp_path: Path
) -> None:
    dataset: TextDataset = kind("some", root=str(tmp_path))
    assert dataset.words == kind.words
    with pytest.raises(InputError) as caught:
        dataset.train()
    assert str(caught.value) == (
        f"dataset some: missing {tmp_path / kind.folder / kind.files[0]}; put it there, set dataset.root, or "
        "dataset.download=true"
    )


def test_a_missing_test_file_is_told_before_the_training_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, PennTreebank)
    (tmp_path / "ptb" / "ptb.test.txt").unlink()
    with pytest.raises(InputError, match=r"missing .*ptb\.test\.txt"):
        PennTreebank("ptb", root=str(tmp_path)).train()


def test_a_word_that_the_training_file_lacks_is_the_unknown_one(tmp_path: Path) -> None:
    write(tmp_path, PennTreebank, valid=" w0 elephant \n")
    dataset = PennTreebank("ptb", root=str(tmp_path))
    assert [dataset.vocabulary[token] for token in dataset.valid()] == ["w0", UNKNOWN, END]


def test_where_there_is_no_unknown_one_it_is_refused(tmp_path: Path) -> None:
    words = " ".join(f"w{number}" for number in range(PennTreebank.words - 1))
    write(tmp_path, PennTreebank, train=f"{words}\n", valid=" w0 elephant \n")
    with pytest.raises(InputError, match=r"ptb\.valid\.txt: 'elephant' is not a word of ptb\.train\.txt"):
        PennTreebank("ptb", root=str(tmp_path)).valid()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("one two\n", "has 3 different words where 10000 are expected"),
        (" \n\n", "holds no words"),
        (b"\xff\xfe", "cannot be read as text"),
    ],
)
def test_another_file_is_refused_in_one_line(text: str | bytes, told: str, tmp_path: Path) -> None:
    write(tmp_path, PennTreebank)
    path = tmp_path / "ptb" / "ptb.train.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=told) as caught:
        PennTreebank("ptb", root=str(tmp_path)).train()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_downloaded_once_and_checked(
    tmp_path: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    served, url = mirror
    write(tmp_path / "made", PennTreebank)
    made = {file: (tmp_path / "made" / "ptb" / file).read_bytes() for file in PennTreebank.files}
    for file, content in made.items():
        (served / file).write_bytes(content)
    monkeypatch.setattr(PennTreebank, "url", url)
    monkeypatch.setattr(PennTreebank, "md5", {file: hashlib.md5(content).hexdigest() for file, content in made.items()})
    dataset = PennTreebank("ptb", root=str(tmp_path / "here"), download=True)
    assert len(dataset.vocabulary) == PennTreebank.words
    assert {file: (tmp_path / "here" / "ptb" / file).read_bytes() for file in made} == made
    monkeypatch.setattr(PennTreebank, "md5", dict.fromkeys(made, "0" * 32))
    with pytest.raises(InputError, match="download"):
        PennTreebank("ptb", root=str(tmp_path / "there"), download=True).train()


def test_what_cannot_be_downloaded_says_what_is_wanted_where(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        WikiText2("wikitext2", root=str(tmp_path), download=True).train()
    assert "wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens" in str(caught.value)
    assert str(tmp_path / "wikitext-2") in str(caught.value)
