"""Pages are whole, self-contained, harmless, and drawn of whatever a folder holds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from lines import architecture, first, line, search_of, write_lines
from run_folders import write_run, write_unfinished

import nas_cli
from nas_cli.report.page import write_run_page
from nas_cli.report.runs import find_runs
from nas_cli.report.sweep_page import read_members, sweep_page

VOID = {"meta", "input", "img"}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """The tags of a page, all of which must be closed, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def best(skips: int = 0, **metrics: float) -> dict[str, Any]:
    return {"architecture": architecture(skips), "score": 0.5, "metrics": {"valid_accuracy": 0.5, **metrics}}


def gradient_run(folder: Path, skips: list[int], **changes: Any) -> Path:
    known = {"strategy": "darts", "space": "darts", "dataset": "digits", "best": best(skips[-1]), **changes}
    return write_lines(write_run(folder, **known), search_of(skips))


def page_of(folder: Path) -> Page:
    return Page(write_run_page(folder).read_text(encoding="utf-8"))


def test_a_gradient_search_has_all_sections(tmp_path: Path) -> None:
    page = page_of(gradient_run(tmp_path, [0, 1, 1, 2, 3], device="cpu, 1 thread", versions={"torch": "9.9"}))
    for words in (
        "darts on space darts, data set digits",
        "50.00 %",
        "cpu, 1 thread",
        "torch 9.9",
        "Skip connections of the derived cell",
        "Entropy of α",
        "For this one that is after epoch 4 of 5",
        "The run's result: epoch 5",
        "Step by step: every epoch",
        "Probabilities of the operations",
        "All measurements",
        "Options",
    ):
        assert words in page.text
    # 2 kinds of 5 edges.
    assert sum(attributes.get("class", "").startswith("panel") for attributes in page.named("figure")) == 10  # type: ignore[union-attr]
    (slider,) = page.named("input")
    assert (slider["type"], slider["max"]) == ("range", "4")


def test_every_picture_that_is_shown_is_there(tmp_path: Path) -> None:
    page = page_of(gradient_run(tmp_path, [0, 1, 2, 3, 4]))
    shown = {attributes["href"] for attributes in page.named("use")}
    assert shown == {f"#{attributes['id']}" for attributes in page.named("symbol")}
    assert shown


def test_without_the_script_nothing_is_hidden_but_its_control(tmp_path: Path) -> None:
    page = page_of(gradient_run(tmp_path, [0, 1, 2]))
    hidden = [attributes for _, attributes in page.tags if "hidden" in attributes]
    assert [attributes["class"] for attributes in hidden] == ["control"]


def test_nothing_is_fetched_and_only_its_own_script_may_run(tmp_path: Path) -> None:
    folder = gradient_run(tmp_path, [0, 1, 2])
    html = write_run_page(folder).read_text()
    page = Page(html)
    assert len(page.named("script")) == 1
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in page.named("meta") if meta.get("http-equiv")]
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "http:" not in html.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, which nothing fetches
    assert "https:" not in html
    assert not page.named("link")
    assert not re.search(r"@import|url\(", html)
    assert all(str(attributes.get("href", "#")).startswith("#") for _, attributes in page.tags)


def test_a_search_by_stages(tmp_path: Path) -> None:
    write_run(tmp_path, strategy="pdarts", best=best(epochs=2))
    write_lines(tmp_path, [first(2, stage=0), line(1, 2, stage=0), first(stage=1), line(1, stage=1)])
    page = page_of(tmp_path)
    assert "Stage 1" in page.text
    assert "Stage 2" in page.text
    assert "In its stage 2 one never had so many" in page.text.replace("this ", "")


def test_a_search_that_went_back_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, strategy="robust_darts", best=best())
    write_lines(tmp_path, [first(), line(1), line(2), line(1, weight_decay=0.01), line(2, weight_decay=0.01)])
    assert "After epoch 3 the search went back to the end of epoch 1 with weight decay 0.01" in page_of(tmp_path).text


def test_a_black_box_search(tmp_path: Path) -> None:
    decisions = ["none", "skip_connect", "none", "nor_conv_3x3", "none", "nor_conv_1x1"]
    trials = [
        {"index": index, "score": score, "architecture": {"space": "nasbench201", "decisions": decisions}}
        for index, score in enumerate([0.5, None, 0.9])
    ]
    page = page_of(write_lines(write_run(tmp_path), trials, "trials.jsonl"))
    assert "Best so far" in page.text
    assert "1 of 3 evaluations failed." in page.text
    best = page.text.partition("Best candidates")[2]
    assert best.count("none, skip_connect") == 1  # judged twice, and one candidate
    assert best.index("3") < best.index("none, skip_connect")  # the better of the two evaluations
    assert "DARTS+" not in page.text


def test_an_evaluation(tmp_path: Path) -> None:
    lines = [{"epoch": epoch, "step": epoch, "train_loss": 1.0, "train_accuracy": 0.5} for epoch in range(3)]
    write_run(tmp_path, command="evaluate", strategy=None, estimator=None, evaluation="small", best=best())
    page = page_of(write_lines(tmp_path, [*lines, {"epoch": 3, "test_accuracy": 0.75}]))
    assert "trained on cifar10" in page.text
    assert "Search progress" not in page.text
    assert [title for title in ("Accuracy", "Loss") if title in page.text] == ["Accuracy", "Loss"]


def test_an_unfinished_run_shows_what_there_is(tmp_path: Path) -> None:
    write_unfinished(tmp_path, strategy="darts")
    assert "Not finished: this is what there is after 0 evaluations." in page_of(tmp_path).text
    write_lines(tmp_path, search_of([0, 1, 2]))
    content = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(content[:-40])
    page = page_of(tmp_path)
    assert "this is what there is after 2 of 50 epochs." in page.text
    assert "1 damaged or torn lines of its files are left out." in page.text
    assert "Entropy of α" in page.text


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[]], {"normal": {}}, True, 1e308, -1])
@pytest.mark.parametrize(
    "key", ["epoch", "stage", "epochs", "operations", "probabilities", "architecture", "skips_normal"]
)
def test_a_damaged_line_never_stops_the_page(tmp_path: Path, key: str, value: object) -> None:
    write_run(tmp_path, best=best())
    write_lines(tmp_path, [first() | {key: value}, line(1), line(2) | {key: value}, {key: value}])
    page_of(tmp_path)


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, {"decisions": 1}])
@pytest.mark.parametrize("key", ["index", "score", "architecture", "metrics"])
def test_a_damaged_trial_never_stops_the_page(tmp_path: Path, key: str, value: object) -> None:
    trial = {"index": 0, "score": 0.5, "architecture": architecture(), "metrics": {"test_accuracy": 0.4}}
    page_of(write_lines(write_run(tmp_path), [trial, trial | {key: value}], "trials.jsonl"))


def test_what_a_file_says_is_text(tmp_path: Path) -> None:
    names = [["none", EVIL, "skip_connect", "sep_conv_3x3"]] * 5
    write_run(
        tmp_path, strategy=EVIL, space=EVIL, dataset=EVIL, device=EVIL, git=EVIL, versions={EVIL: EVIL},
        best={"architecture": {"space": EVIL, "decisions": [EVIL]}, "score": 0.5, "metrics": {EVIL: 0.5}}, score=EVIL,
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps({"seed": 0, EVIL: EVIL}))
    lines = [first(operations={"normal": names, EVIL: names}), line(1)]
    for record in lines:
        record["probabilities"] |= {EVIL: record["probabilities"]["normal"]}
        record |= {f"entropy_{EVIL}": 1.0, f"{EVIL}_accuracy": 0.5, f"table_{EVIL}": 0.5, f"skips_{EVIL}": 1}
    trials = [{"index": index, "score": 0.5, "architecture": {"decisions": [EVIL]}} for index in range(3)]
    write_lines(write_lines(tmp_path, lines), trials, "trials.jsonl")
    page = page_of(tmp_path)
    assert len(page.named("script")) == 1
    assert not page.named("img")
    assert EVIL in page.text
    sweep = Page(sweep_page(read_members(find_runs([tmp_path]) * 2), tmp_path))
    assert len(sweep.named("script")) == 1
    assert not sweep.named("img")


def test_a_picture_that_only_its_space_can_draw_is_an_image(tmp_path: Path) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    write_run(tmp_path, best={"architecture": {"space": "own", "decisions": [1, 2]}, "score": 1.0, "metrics": {}})
    (tmp_path / "architecture.svg").write_bytes(svg)
    (image,) = page_of(tmp_path).named("img")
    assert str(image["src"]).startswith("data:image/svg+xml;base64,")
    assert base64.b64decode(str(image["src"]).partition(",")[2]) == svg


def test_the_page_of_fifty_epochs_is_small(tmp_path: Path) -> None:
    from nas_cli.networks.choices import all_pairs

    names = [
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "x",
    ]
    edges = len(all_pairs(2, 4))
    lines = []
    for epoch in range(50):
        # All cells differ, which is the worst case.
        cells = [
            f"{names[1 + (epoch + kind) % 7]}:0 + {names[1 + epoch // 7 % 7]}:1 | x:0 + x:2 | x:1 + x:3 | "
            f"x:{epoch % 5} + x:1 ; concat 2,3,4,5"
            for kind in (0, 3)
        ]
        rows = [[0.1 + (epoch * row) % 17 / 100] * 8 for row in range(edges)]
        lines.append(
            line(
                epoch,
                architecture={"space": "darts", "decisions": cells},
                probabilities={"normal": rows, "reduce": rows},
                operations={"normal": [names] * edges, "reduce": [names] * edges},
            )
        )
    write_lines(write_run(tmp_path, best=best()), lines)
    page = page_of(tmp_path)
    assert len(page.named("symbol")) > 60
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_sweep(tmp_path: Path) -> None:
    for seed in range(2):
        gradient_run(tmp_path / str(seed), [0, 1, 1, 3], seed=seed)
        gradient_run(tmp_path / str(2 + seed), [0, 1, 1], seed=seed, strategy="darts_plus")
    write_run_page(tmp_path / "1")
    page = Page(sweep_page(read_members(find_runs([tmp_path])), tmp_path))
    for words in ("4 runs: darts, darts_plus", "darts: mean of 2", "What each run found", "darts_plus, seed 1"):
        assert words in page.text
    # What is the same in all stands above the table, so that the figures have the room.
    _, _, results = page.text.partition("Results ")
    above, _, columns = results.partition(" strategy ")
    assert "command search, space darts, dataset digits" in above
    assert columns.startswith("seeds ")
    assert "epoch 4 of 4 (3 skips, valid accuracy 43.00 %)" in page.text
    links = {attributes["href"] for attributes in page.named("a")}
    assert links == {"./1/report.html"}


def test_runs_are_called_by_their_labels(tmp_path: Path) -> None:
    for seed in range(2):
        gradient_run(tmp_path / str(seed), [0, 1, 3], seed=seed)
    runs = [replace(run, label="first order") for run in find_runs([tmp_path])]
    page = Page(sweep_page(read_members(runs), tmp_path, "A table"))
    for words in ("A table", "first order: mean of 2", "first order, seed 0", "first order, seed 1"):
        assert words in page.text
    assert "Stage by stage" not in page.text


def test_searches_by_stages_stand_beside_others(tmp_path: Path) -> None:
    gradient_run(tmp_path / "0", [0, 1, 2])
    write_run(tmp_path / "1", strategy="pdarts", space="darts", dataset="digits", best=best())
    write_lines(tmp_path / "1", [first(4, stage=0), line(1, 3, stage=0), first(stage=1), line(1, 1, stage=1)])
    text = Page(sweep_page(read_members(find_runs([tmp_path])), tmp_path)).text
    _, _, strips = text.partition("Stage by stage")
    strips, _, _ = strips.partition("What each run found")
    assert "stages end after epochs 2, 4." in strips
    darts, _, pdarts = strips.partition("pdarts, seed 0")
    # After as many epochs, or at its own end.
    assert "epoch 2 1 skip in normal cell" in darts
    assert "epoch 3 2 skips in normal cell" in darts
    assert "epoch 2 3 skips in normal cell" in pdarts
    assert "epoch 4 1 skip in normal cell" in pdarts


def test_a_run_ends_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"strategy.evaluations": 3}
    nas_cli.search("random", space="branin", estimator="function", options=options, folder="found")
    page = Page((tmp_path / "found" / "report.html").read_text())
    assert "random on space branin" in page.text
    assert "Best so far" in page.text


def test_a_fault_in_drawing_is_one_line_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> Path:
        raise ZeroDivisionError("no\nchart")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas_cli.session.write_run_page", fail)
    found = nas_cli.search(
        "random", space="branin", estimator="function", options={"strategy.evaluations": 3}, folder="found"
    )
    assert (found.folder / "result.json").exists()
    log = (found.folder / "run.log").read_text()
    assert log.count("report.html was not drawn (ZeroDivisionError: no chart)") == 1
    assert "Traceback" not in log
