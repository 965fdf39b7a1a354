"""A comparison in each of its formats."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnndoctor.comparison import Comparison, compare
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.measurements import Course, Curve, Gradients, LearningRateSweep, Steps
from dnndoctor.reports.comparison import html, terminal
from dnndoctor.reports.comparison import json as as_json

jsonschema: Any = pytest.importorskip("jsonschema")


@pytest.fixture
def better(sick: Diagnosis, sound: Diagnosis) -> Comparison:
    results = tuple(replace(each, findings=()) for each in sick.results)
    return compare(sick, replace(sound, results=results))


def test_the_terminal_says_what_is_gone_and_by_how_much(better: Comparison) -> None:
    said = terminal.full(better, 80)
    assert said.splitlines()[0] == "before  train.py --epochs 3 (.dnndoctor/train.dnnrec)"
    assert "\nGone\n  train.py:" in said
    assert "LRN101 [warning] rate-too-high: learning rate 0.5 loses most" in said
    assert re.search(r"loss over the last steps +0\.\d+ -> 0\.\d+\n", said)
    assert said.endswith("Findings: 5 gone, none new, none stayed.\n")
    assert max(map(len, said.splitlines())) <= 80
    assert "\033" not in said
    assert "\033" in terminal.full(better, 80, color=True)


def test_what_came_has_its_fix(sick: Diagnosis, sound: Diagnosis) -> None:
    said = terminal.full(compare(sound, sick))
    assert "= before: its rule took no part" in said
    assert "= fix: lower the learning rate to 0.01" in said


def test_one_line_for_each_finding(sick: Diagnosis, better: Comparison) -> None:
    marks = [line[0] for line in terminal.concise(better).splitlines()]
    assert marks == ["-"] * 5 + ["F"]
    assert [line[0] for line in terminal.concise(compare(sick, sick)).splitlines()] == ["="] * 5 + ["F"]


def test_json_satisfies_its_schema(better: Comparison, hostile: Diagnosis) -> None:
    for each in (better, compare(hostile, hostile), compare(better.before, hostile)):
        made = json.loads(as_json.render(each))
        jsonschema.validate(made, as_json.schema())
    made = json.loads(as_json.render(better))
    assert [each["finding"]["rule"] for each in made["gone"]] == [each.rule for each in better.before.findings]
    assert made["before"]["summary"] == {"error": 1, "warning": 3, "info": 1}


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_draws_both_over_each_other(better: Comparison) -> None:
    page = html.render(better)
    assert page == html.render(better), "the same to the byte"
    tags = Tags(page).found
    figures = [attributes["id"] for tag, attributes in tags if tag == "figure"]
    assert figures == ["figure-loss-compared", "figure-rates-compared", "figure-ratios-compared"]
    names = [
        attributes.get("data-name") for tag, attributes in tags if tag == "g" and attributes.get("class") == "series"
    ]
    assert names.count("before") == names.count("after") >= 2
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert links == {"#gone", "#curves", "#figures"}
    assert {str(each)[1:] for each in links} <= set(ids)


def test_what_came_is_shown_as_in_a_report(sick: Diagnosis, sound: Diagnosis, folder: Path) -> None:
    page = html.render(compare(sound, sick), folder)
    assert "optimizer = torch.optim.SGD(model.parameters(), lr=0.5)" in page, "the source"
    assert '<span class="added">+            nn.init.xavier_uniform_' in page, "the diff"
    assert "<dt>LRN101 before</dt><dd>Its rule took no part.</dd>" in page
    ids = [attributes["id"] for _, attributes in Tags(page).found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_markup_of_the_users_stays_text(hostile: Diagnosis, sick: Diagnosis) -> None:
    for each in (compare(hostile, hostile), compare(sick, hostile), compare(hostile, sick)):
        page = html.render(each)
        page.encode()
        assert "img" not in {tag for tag, _ in Tags(page).found}
        assert page.count("<script") == 1  # ours, which the policy names by its hash
        assert "\x1b" not in terminal.full(each)
        terminal.full(each).encode()


def a_log(sound: Diagnosis, unit: str, *losses: float) -> Diagnosis:
    """What a finished run logged."""
    at = np.arange(len(losses), dtype=float)
    held_out = Curve("val", "validation loss", at, np.array(losses) + 0.1, at, np.zeros(len(at), int))
    loss = Curve("loss", "loss", at, np.array(losses), at, np.zeros(len(at), int))
    return replace(sound, measurements={Course: Course(unit, (loss, held_out))})


def test_logs_of_finished_runs_are_drawn_as_well(sound: Diagnosis) -> None:
    made = compare(a_log(sound, "epoch", 2.0, 1.0, 0.8), a_log(sound, "epoch", 2.0, 0.5, 0.25, 0.2))
    said = terminal.full(made)
    assert re.search(r"loss over the last steps +0\.8 -> 0\.2\n", said)
    assert re.search(r"best loss on held-out samples +0\.9 -> 0\.3\n", said)
    page = html.render(made)
    assert "The loss ends lower: at 0.8 before, at 0.2 after." in page
    assert ">epoch</text>" in page
    other = compare(a_log(sound, "epoch", 2.0, 1.0), a_log(sound, "step", 2.0, 1.0))
    assert "note: one counts by epoch, the other by optimizer step" in terminal.full(other)
    assert ">epoch or optimizer step</text>" in html.render(other)


def test_it_draws_what_there_is(sick: Diagnosis, unseen: Diagnosis) -> None:
    broken = dict(sick.measurements)
    broken[Steps] = Steps(np.arange(3), np.full(3, np.nan), np.full(3, np.inf), np.zeros(3), np.zeros(3))
    broken[Gradients] = Gradients((), np.arange(3), np.full(3, np.nan))
    del broken[LearningRateSweep]
    diverged = replace(sick, measurements=broken)
    for each in (compare(sick, diverged), compare(diverged, sick), compare(diverged, diverged), compare(unseen, sick)):
        html.render(each)
        terminal.full(each)
        json.loads(as_json.render(each))
