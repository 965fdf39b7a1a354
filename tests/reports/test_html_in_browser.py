"""The page in a real browser: offline, without JavaScript, light, dark, printed and on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Literal

import pytest

from dnndoctor.comparison import compare
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports import html
from dnndoctor.reports.comparison import html as comparison

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = which("chromium")
if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("the browser tests need chromium: apt-get install chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]
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


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_scrolls_sideways(browser: Browser, page_file: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, page_file: Path, scheme: Literal["light", "dark"]) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # for axe itself
    page = context.new_page()
    page.goto(page_file.as_uri())
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def opened(browser: Browser, diagnosis: Diagnosis, folder: Path, tmp_path: Path) -> Page:
    file = tmp_path / "report.html"
    file.write_text(html.render(diagnosis, folder), encoding="utf-8")
    page = browser.new_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(file.as_uri())
    return page


def test_findings_are_filtered_by_severity(browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path) -> None:
    page = opened(browser, sick, folder, tmp_path)
    notes = page.locator("article.card.info:not(:has(article))")
    assert notes.first.is_visible()
    page.get_by_label("info").uncheck()
    assert not any(notes.nth(i).is_visible() for i in range(notes.count()))
    assert page.locator("article.card.error").first.is_visible()
    page.get_by_label("info").check()
    assert notes.first.is_visible()


def test_a_fix_is_copied_as_it_stands(browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path) -> None:
    page = opened(browser, sick, folder, tmp_path)
    button = page.locator(".fix button.copy").first
    button.click()
    api.expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == (page.locator(".fix pre code").first.text_content() or "").strip()


def test_keys_go_from_finding_to_finding(browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path) -> None:
    page = opened(browser, sick, folder, tmp_path)
    identities = [each.get_attribute("id") for each in page.locator("article.card").all()]
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == identities[1]
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.id") == identities[0]


def test_each_figure_has_marks_and_details_open(
    browser: Browser, sick: Diagnosis, folder: Path, tmp_path: Path
) -> None:
    page = opened(browser, sick, folder, tmp_path)
    for figure in page.locator("figure:has(svg)").all():
        assert figure.locator("svg :is(circle, rect, path, polyline, image, line)").count() > 3
    details = page.locator("figure details").first
    details.locator("summary").click()
    assert details.locator("table").is_visible()
