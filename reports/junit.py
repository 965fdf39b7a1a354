"""JUnit's XML, as CI systems read it: a suite for each practice, a test for each rule.

There is no one definition of it; this keeps to what Jenkins' schema (junit-10.xsd of its xUnit plugin) allows.
"""

from collections.abc import Callable
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.findings import Finding, Severity
from dnndoctor.reports.words import headline, measured, one_line, place, plural, printable, sentence, severity
from dnndoctor.rule import Result, State

Fails = Callable[[Severity], bool]


def render(diagnosis: Diagnosis, fails: Fails) -> str:
    """Rules with a finding that ``fails`` have failed; what could not be judged was skipped, and why."""
    whole = Element("testsuites", name="dnndoctor")
    whole.append(_examination(diagnosis))
    titles = {each.id: each.title for each in diagnosis.practices}
    for practice, group in groupby(diagnosis.results, key=lambda each: each.rule.practice):
        whole.append(_suite(titles.get(practice, practice), [_case(each, diagnosis, fails) for each in group]))
    for name in ("tests", "failures", "errors"):
        whole.set(name, str(sum(int(each.get(name, "0")) for each in whole)))
    indent(whole)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(whole, encoding="unicode")}\n'


def _examination(diagnosis: Diagnosis) -> Element:
    """Whether the target could be examined at all; without this test a broken script would look fine."""
    case = Element("testcase", name=_legal(diagnosis.target.path), classname="dnndoctor.examination")
    case.set("time", f"{diagnosis.run.wall_seconds:.3f}")
    if diagnosis.target.outcome is Outcome.NOT:
        SubElement(case, "error", type="not-examined", message=_legal(headline(diagnosis)))
    said = "\n".join([headline(diagnosis), *diagnosis.run.notes])
    SubElement(case, "system-out").text = _legal(said)
    return _suite("Examination", [case])


def _suite(name: str, cases: list[Element]) -> Element:
    suite = Element("testsuite", name=_legal(name), tests=str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(each.find(tag) is not None for each in cases)))
    suite.extend(cases)
    return suite


def _case(result: Result, diagnosis: Diagnosis, fails: Fails) -> Element:
    rule = result.rule
    case = Element("testcase", name=f"{rule.code} {rule.name}", classname=f"dnndoctor.{rule.practice}", time="0")
    reason = _legal(result.reason or "no reason was recorded")
    if result.state is State.CRASHED:
        SubElement(case, "error", type="crashed", message=reason)
    elif result.state in (State.NOT_APPLICABLE, State.NOT_EXAMINED):
        SubElement(case, "skipped", type=result.state.value, message=reason)
    new = [each for each in result.findings if each not in diagnosis.known]
    failing = [each for each in new if fails(severity(each))]
    if failing:
        more = f" (and {plural(len(failing) - 1, 'more finding')})" if len(failing) > 1 else ""
        failure = SubElement(case, "failure", type=severity(failing[0]).value)
        failure.set("message", _legal(f"{place(failing[0])}: {one_line(failing[0].message)}{more}"))
        failure.text = _told(failing)
    if beside := [each for each in result.findings if each not in failing]:
        SubElement(case, "system-out").text = _told(beside)
    return case


def _told(findings: list[Finding]) -> str:
    return _legal("\n\n".join("\n".join(_lines(each)) for each in findings))


def _lines(finding: Finding) -> list[str]:
    lines = [f"{place(finding)}: [{severity(finding)}] {sentence(one_line(finding.message))}"]
    lines += [f"measured: {measured(each)}" for each in finding.evidence]
    lines += [f"caused by: {finding.caused_by}"] if finding.caused_by else []
    fix = finding.fix
    lines += [f"fix: {one_line(fix.summary)}", *printable(fix.diff or fix.code or "").splitlines()] if fix else []
    return lines


def _legal(text: str) -> str:
    """Text that XML 1.0 may hold: no control characters, surrogates or noncharacters."""
    return "".join(each for each in printable(text) if ord(each) & 0xFFFE != 0xFFFE)
