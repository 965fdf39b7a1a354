import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter
from urllib.parse import quote

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Fix, Severity
from dnndoctor.reports import html
from dnndoctor.reports.html.prose import prose
from tests.diagnoses import found, ran


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
    assert text.index("1 error, 3 warnings, 1 note.") < text.index("Draw the weights for a sigmoid.")
    for part in ("no DataLoader was seen", "a tiny model", "Signals that are too large", "PyTorch 2.13.0"):
        assert part.lower() in text.lower()


def test_a_figure_is_drawn_once_and_beside_the_finding_that_it_shows(sick: Diagnosis, folder: Path) -> None:
    page = html.render(sick, folder)
    names = re.findall(r'<figure id="([^"]+)"', page)
    assert len(names) == len(set(names)) == 10
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
    assert "unsafe-inline" not in page
    assert page.count("<script") == page.count("</script") == 1  # ours, which the policy names by its hash
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


def test_the_head_says_why_first_and_what_it_gains(sick: Diagnosis, folder: Path) -> None:
    head = html.render(sick, folder).partition("<main>")[0]
    text = " ".join(" ".join(Tags(head).words).split())
    after = [text.index(part) for part in ("Do this first", "train.py:11:13", "- nn.init.normal_", "+ nn.init.xavier")]
    after += [text.index(part) for part in ("Because", "12 times their target", "What it gains", "After that")]
    assert after == sorted(after)


def test_each_finding_says_how_to_silence_it_and_has_its_manual_page(sick: Diagnosis, folder: Path) -> None:
    page = html.render(sick, folder)
    for each in sick.findings:
        assert f"--ignore {each.rule}<" in page
        assert f"Manual page of {each.rule}" in page
        assert (f"# dnndoctor: ignore[{each.rule}]" in page) == (each.location is not None)


def test_how_to_reproduce_it_is_quoted_for_a_shell(sick: Diagnosis, folder: Path) -> None:
    target = replace(sick.target, path="my train.py", args=("--name", "a b; rm -rf"))
    told = replace(sick, target=target, run=replace(sick.run, seed=7))
    text = " ".join(Tags(html.render(told, folder)).words)
    assert "dnndoctor check 'my train.py' --seed 7 -- --name 'a b; rm -rf'" in text
    assert "dnndoctor report .dnndoctor/train.dnnrec --html page.html" in text


def test_the_same_to_do_elsewhere_is_said_once(folder: Path) -> None:
    fix = Fix("use ReLU")
    twice = [found("INI102", line=n, fix=fix, value=n) for n in (3, 9)]
    other = found("LRN101", Severity.WARNING, fix=Fix("halve it"))
    head = html.render(ran(*twice, other), folder).partition("<main>")[0]
    text = " ".join(" ".join(Tags(head).words).split())
    assert text.count("Use ReLU.") == 1
    assert "The same at train.py:9:1" in text
    assert "After that" not in text


def test_thousands_of_findings_are_folded_and_each_keeps_an_anchor(folder: Path) -> None:
    many = [found("ACT101", Severity.WARNING, line=n + 1, subject=f"layers.{n}.relu") for n in range(1_500)]
    page = html.render(ran(found("INI102"), *many), folder)
    assert page.count('<article id="ACT101') == 3
    assert {f"ACT101-{n}" for n in range(1, 1_501)} <= {a.get("id") for _, a in Tags(page).tags}
    assert "1497 more of ACT101" in page


def test_what_is_left_out_of_5000_findings_is_counted(folder: Path) -> None:
    many = [found("ACT101", Severity.WARNING, line=n + 1, subject=f"layers.{n}.relu") for n in range(5_000)]
    started = perf_counter()
    page = html.render(ran(*many), folder)
    assert perf_counter() - started < 5  # it takes a fifth of a second where nothing is quadratic
    assert len(page.encode()) < 1_500_000
    assert "4997 more of ACT101" in page
    assert "And 2997 that are counted only" in page


def test_backticks_are_code_and_what_is_in_them_is_escaped() -> None:
    assert str(prose("set `a<b>` or ``model.train()``\n\nthen < go")) == (
        "<p>set <code>a&lt;b&gt;</code> or <code>model.train()</code></p>\n<p>then &lt; go</p>"
    )
