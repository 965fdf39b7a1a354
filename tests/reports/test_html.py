import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports import html


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_same_diagnosis_gives_the_same_bytes(sick: Diagnosis, folder: Path) -> None:
    assert html.render(sick, folder) == html.render(replace(sick), folder)


def test_the_page_says_the_verdict_and_the_first_thing_to_do(sick: Diagnosis, folder: Path) -> None:
    text = " ".join(Tags(html.render(sick, folder)).words)
    assert text.index("1 error, 3 warnings, 1 note.") < text.index("Draw the weights for a sigmoid (train.py:11).")
    for part in ("no DataLoader was seen", "a tiny model", "Signals that are too large", "PyTorch 2.13.0"):
        assert part.lower() in text.lower()


def test_a_figure_is_drawn_once_and_beside_the_finding_that_it_shows(sick: Diagnosis, folder: Path) -> None:
    page = html.render(sick, folder)
    names = re.findall(r'<figure id="([^"]+)"', page)
    assert len(names) == len(set(names)) == 9
    assert page.index('id="LRN101-1"') < page.index('<figure id="figure-learning-rate"') < page.index('id="BAT102-1"')


def test_every_link_leads_somewhere(sick: Diagnosis, hostile: Diagnosis, folder: Path) -> None:
    for each in (sick, hostile):
        tags = Tags(html.render(each, folder)).tags
        identities = [a["id"] for _, a in tags if "id" in a]
        assert len(identities) == len(set(identities))
        links = [a["href"] or "" for name, a in tags if name == "a"]
        assert links
        log = quote(each.run.log or "", errors="surrogateescape")
        assert {link for link in links if link[1:] not in identities} == {log}


def test_nothing_hostile_becomes_markup(hostile: Diagnosis) -> None:
    page = html.render(hostile)
    tags = Tags(page).tags
    assert not {name for name, _ in tags} & {"img", "link", "iframe", "object", "base"}
    assert [name for name, _ in tags].count("script") == 1  # ours, which the policy knows by its hash
    assert "unsafe-inline" not in page
    assert not [a for _, a in tags if any(key.startswith("on") or key in ("style", "src") for key in a)]
    assert "alert(1)" in page  # it is shown, as text
    assert "{{7*7}}" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    page.encode("utf-8")


def test_no_address_is_on_the_page(sick: Diagnosis, folder: Path) -> None:
    assert "http://" not in html.render(sick, folder)
    assert "https://" not in html.render(sick, folder)


def test_what_was_not_examined_still_has_a_page(unseen: Diagnosis) -> None:
    assert "<h1>Not examined: the script made no optimizer step.</h1>" in html.render(unseen)


def many(diagnosis: Diagnosis, count: int) -> Diagnosis:
    first = diagnosis.findings[0]
    more = [
        replace(first, subject=f"layers.{i}", message=f"unit {i} is off by {i}", caused_by=None) for i in range(count)
    ]
    return replace(diagnosis, findings=(*diagnosis.findings, *more))


def test_five_thousand_findings_fold_into_a_page_that_opens(sick: Diagnosis, folder: Path) -> None:
    page = html.render(many(sick, 5000), folder)
    assert len(page.encode()) < 1_500_000
    assert page.count("<article") <= 60
    assert "that only --output-format json lists" in page
    links = [a["href"] or "" for name, a in Tags(page).tags if name == "a"]
    identities = {a["id"] for _, a in Tags(page).tags if "id" in a}
    assert {link[1:] for link in links if link.startswith("#")} <= identities


def test_the_page_says_how_to_see_it_again(sick: Diagnosis, folder: Path) -> None:
    seeded = replace(sick, run=replace(sick.run, seed=7, recording="a b.dnnrec"))
    page = html.render(seeded, folder)
    assert "dnndoctor check train.py --seed 7" in page
    assert "dnndoctor report &#39;a b.dnnrec&#39; --html report.html" in page


def test_every_finding_can_be_silenced_and_linked(sick: Diagnosis, folder: Path) -> None:
    page = html.render(sick, folder)
    for each in sick.findings:
        assert f"# dnndoctor: ignore[{each.rule}]" in page
        assert f'class="anchor" href="#{each.rule}-1"' in page
