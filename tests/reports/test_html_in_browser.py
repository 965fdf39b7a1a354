"""The page in a real browser: offline, without JavaScript, light, dark, printed, on a phone, and read aloud."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Literal

import pytest

from dnndoctor.comparison import compare
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Severity
from dnndoctor.reports import html
from dnndoctor.reports.comparison import html as comparison
from tests.diagnoses import found, ran
from tests.reports.conftest import DIFF

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CI = bool(os.environ.get("CI"))  # where a merge is decided, what is missing is a fault of the set-up, no reason to skip
CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and not CI, reason="no chromium on this machine"),
]


def needed(name: str) -> Any:
    return importlib.import_module(name) if CI else pytest.importorskip(name)


api = needed("playwright.sync_api")
QUIET = ("background-networking", "component-update", "sync")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{each}" for each in QUIET)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(params=["sick", "hostile", "unseen", "sick hostile"])
def page_file(request: pytest.FixtureRequest, tmp_path: Path, folder: Path) -> Path:
    """A report; of two diagnoses, their comparison."""
    shown: list[Diagnosis] = [request.getfixturevalue(each) for each in request.param.split()]
    page = html.render(shown[0], folder) if len(shown) == 1 else comparison.render(compare(*shown))
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    return file


@pytest.mark.parametrize("scripts", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_request_or_a_complaint(
    browser: Browser, page_file: Path, scheme: Literal["light", "dark"], scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts, color_scheme=scheme, offline=True)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    assert page.locator("h1").is_visible()
    assert requests == [page_file.as_uri()]
    assert complaints == []  # a breach of the policy is one, too
    context.close()


def color(page: Page, selector: str, what: str) -> str:
    return str(page.locator(selector).first.evaluate(f"each => getComputedStyle(each).{what}"))


def test_dark_and_print_have_colors_of_their_own(
    browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(html.render(sick, folder), encoding="utf-8")
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(file.as_uri())
    assert color(page, "body", "backgroundColor") == "rgb(21, 24, 27)"
    assert color(page, "svg .dot:not(.flagged)", "fill") == "rgb(125, 180, 238)"
    page.emulate_media(media="print")
    assert color(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="print", color_scheme="light")
    assert page.locator("figure details table").first.bounding_box() is not None
    assert len(page.pdf()) > 10_000
    context.close()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_page_scrolls_sideways(browser: Browser, page_file: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.fixture
def sick_page(browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "report.html"
    file.write_text(html.render(sick, folder), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(file.as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, page_file: Path, scheme: Literal["light", "dark"], width: int) -> None:
    axe = needed("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def test_what_to_do_first_is_on_the_first_screen(sick_page: Page) -> None:
    for selector in ("h1", ".first .todo", ".first pre", ".first dd", ".later li"):
        box = sick_page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


def shown(page: Page) -> set[str]:
    titles = page.locator(".card h3").all()
    return {(each.get_attribute("id") or "").removesuffix("-title") for each in titles if each.is_visible()}


def test_the_filter_hides_a_severity_and_keeps_what_it_brought_about(sick_page: Page) -> None:
    everything = shown(sick_page)
    assert {"ACT101-1", "GRD101-1", "BAT102-1"} <= everything
    sick_page.get_by_label("1 error").uncheck()
    assert shown(sick_page) == everything - {"ACT101-1"}
    sick_page.get_by_label("3 warnings").uncheck()
    assert shown(sick_page) == {"BAT102-1"}
    sick_page.get_by_label("1 note").press("Space")
    assert shown(sick_page) == set()
    sick_page.evaluate("location.hash = 'GRD101-1'")  # a link to a finding shows it all the same
    assert shown(sick_page) == {"GRD101-1"}


def test_a_button_copies_the_patch(sick_page: Page) -> None:
    sick_page.locator("#INI102-1 > .own .fix").get_by_role("button", name="Copy").click()
    api.expect(sick_page.get_by_role("button", name="Copied")).to_be_visible()
    assert sick_page.evaluate("navigator.clipboard.readText()") == DIFF


def test_a_link_opens_what_is_folded(sick_page: Page) -> None:
    assert not sick_page.locator("#passed ~ details ul").first.is_visible()
    sick_page.evaluate("location.hash = 'passed'")
    sick_page.locator("#passed ~ details ul").first.wait_for(state="visible")


def test_the_keyboard_comes_to_the_findings_at_once(sick_page: Page) -> None:
    sick_page.keyboard.press("Tab")
    assert sick_page.locator(".skip").evaluate("each => each === document.activeElement")
    sick_page.keyboard.press("Enter")
    assert sick_page.evaluate("location.hash") == "#findings"


def test_keys_go_from_finding_to_finding(sick_page: Page) -> None:
    identities = [each.get_attribute("id") for each in sick_page.locator("article.card").all()]
    for key, at in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        sick_page.keyboard.press(key)
        assert sick_page.evaluate("document.activeElement.id") == identities[at]


def test_every_figure_has_marks_and_its_numbers(sick_page: Page) -> None:
    for figure in sick_page.locator("figure:has(svg)").all():
        assert figure.locator("svg").locator("circle, path, rect, line, image, polyline, polygon").count() > 3
        figure.locator("summary").click()
        assert figure.locator("details td").first.is_visible()


def test_the_overview_prints_on_two_pages_and_the_findings_after_it(sick_page: Page, tmp_path: Path) -> None:
    sick_page.evaluate("document.querySelectorAll('main > section').forEach(each => each.remove())")
    assert pages(sick_page.pdf(format="A4")) <= 2


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_5000_findings_stay_usable(browser: Browser, folder: Path, tmp_path: Path) -> None:
    many = [found("ACT101", Severity.WARNING, line=n + 1, subject=f"layers.{n}.relu") for n in range(5_000)]
    file = tmp_path / "report.html"
    file.write_text(html.render(ran(*many), folder), encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    page.evaluate("location.hash = 'ACT101-1700'")
    page.locator("#ACT101-1700").wait_for(state="visible")
    page.close()
