"""The training loop that was found, in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dnndoctor.diagnosis import Diagnosis, RunFacts
from dnndoctor.findings import Location
from dnndoctor.measurements import FoundLoader, FoundLoss, FoundModel, FoundOptimizer, TrainingLoop
from dnndoctor.reports import html, terminal
from dnndoctor.reports import json as report
from dnndoctor.reports.loop import described


def lines(loop: TrainingLoop | None, log: str | None = None) -> dict[str, str]:
    return dict(described(RunFacts("cpu", 50, 9.1, None, loop=loop, log=log)))


def at(line: int, file: str = "train.py") -> Location:
    return Location(file, line)


ADAM = (FoundOptimizer("Adam", 3e-4, 50, ("net",), at(4)),)


def test_the_head_says_what_was_found(sick: Diagnosis) -> None:
    head = terminal.full(sick, 100).split("\n\n")[0].splitlines()
    assert head[1:8] == [
        "  training   fine-tuning: weights were loaded before the first step; if it is not: --family",
        "             supervised",
        "  models     net = Net, 21,450 parameters, 650 trained (train.py:19); teacher = Net, 21,450",
        "             parameters, not trained (train.py:18)",
        "  optimizer  SGD, learning rate 0.5 (train.py:20)",
        "  data       Digits in batches of 64, 2 workers (train.py:21)",
        "  losses     cross_entropy (train.py:25); expression (train.py:26)",
    ]
    assert head[8] == "  output     the program's own: .dnndoctor/train.log"


def test_nothing_found_says_nothing(unseen: Diagnosis) -> None:
    assert described(unseen.run) == ()
    assert lines(None, "a.log") == {"output": "the program's own: a.log"}


@pytest.mark.parametrize(
    ("family", "reason", "line"),
    [
        ("supervised", "no sign of another family was seen", "supervised"),
        ("supervised", "set by the user", "supervised: set by the user"),
        ("gan", "set by the user", "adversarial (gan): set by the user"),
        ("gan", "D judges G", "adversarial (gan): D judges G; if it is not: --family supervised"),
    ],
)
def test_the_family_stands_with_its_sign(family: str, reason: str, line: str) -> None:
    assert lines(TrainingLoop(family, reason, optimizers=ADAM))["training"] == line


def test_batches_without_a_loader_are_the_script_s_own() -> None:
    unused = (FoundLoader("Digits", "unused", 64, 0),)
    own = "batches are made by the script itself"
    assert lines(TrainingLoop("supervised", "", optimizers=ADAM))["data"] == own
    assert lines(TrainingLoop("supervised", "", optimizers=ADAM, loaders=unused))["data"] == own


def test_long_lists_are_folded() -> None:
    models = tuple(FoundModel(f"nets[{i}]", "Net", 10, 10, at(i)) for i in range(6))
    losses = tuple(FoundLoss("mse_loss", at(i)) for i in range(1, 6))
    found = lines(TrainingLoop("supervised", "", models, ADAM, (), losses))
    assert found["models"].endswith("nets[2] = Net, 10 parameters (train.py:2) and 3 more")
    assert found["loss"] == "mse_loss (train.py:1, 2, 3 and 2 more)"
    assert found["optimizer"].startswith("Adam for net, ")


def test_json_has_the_loop(sick: Diagnosis) -> None:
    run = json.loads(report.render(sick))["run"]
    assert run["log"] == ".dnndoctor/train.log"
    loop = run["loop"]
    assert (loop["family"], loop["family_reason"]) == ("fine-tuning", "weights were loaded before the first step")
    place = {"file": "train.py", "line": 19, "column": 9}
    net = {"name": "net", "class": "Net", "parameters": 21450, "trainable": 650, "location": place}
    assert loop["models"][0] == net
    assert loop["optimizers"][0]["models"] == ["net"]
    assert loop["loaders"][0] | {"location": None} == {
        "name": "Digits",
        "role": "training",
        "batch_size": 64,
        "workers": 2,
        "location": None,
    }
    assert [each["name"] for each in loop["losses"]] == ["cross_entropy", "expression"]


def test_json_without_a_loop_says_null(unseen: Diagnosis) -> None:
    run = json.loads(report.render(unseen))["run"]
    assert run["loop"] is None
    assert run["log"] is None


def test_the_page_shows_the_loop_and_links_the_log_from_where_it_lies(sick: Diagnosis, folder: Path) -> None:
    page = html.render(sick, folder, folder / "reports" / "today")
    assert "net = Net, 21,450 parameters, 650 trained (train.py:19)" in page
    assert '<a href="../../.dnndoctor/train.log">.dnndoctor/train.log</a>' in page
    assert '<a href=".dnndoctor/train.log">' in html.render(sick, folder)


def test_a_log_s_odd_name_stays_a_file(sick: Diagnosis, folder: Path) -> None:
    odd = replace(sick, run=replace(sick.run, log='javascript:alert(1) "><b>.log'))
    page = html.render(odd, folder)
    assert 'href="javascript%3Aalert%281%29%20%22%3E%3Cb%3E.log"' in page
