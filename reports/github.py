"""Annotations in a pull request: workflow commands, a line each.

The escapes are those of GitHub's own toolkit (packages/core/src/command.ts). A step shows ten annotations of a kind
at most, so the first thing to do comes first.
"""

from pathlib import Path

from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.findings import Finding, Severity
from dnndoctor.reports.places import Places
from dnndoctor.reports.words import headline, one_line, printable, sentence, severity, tree

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(diagnosis: Diagnosis, root: Path) -> str:
    """One command for each finding; a target that was not examined is an error at its first line."""
    places = Places(diagnosis, root)
    lines = [_line(finding, places) for node in tree(diagnosis) for finding in node.walk()]
    if diagnosis.target.outcome is not Outcome.EXAMINED:
        grade = "error" if diagnosis.target.outcome is Outcome.NOT else "warning"
        lines.insert(0, _command(grade, places, places.target.file, 1, 1, "dnndoctor", headline(diagnosis)))
    return "".join(f"{line}\n" for line in lines)


def _line(finding: Finding, places: Places) -> str:
    at = places.anchor(finding)
    fix = f"\nFix: {sentence(finding.fix.summary)}" if finding.fix else ""
    cause = f"\nBrought about by {finding.caused_by}." if finding.caused_by else ""
    said = sentence(one_line(finding.message)) + cause + fix
    title = f"{finding.rule} {finding.name}"
    return _command(COMMANDS[severity(finding)], places, at.file, at.line, at.column, title, said)


def _command(name: str, places: Places, file: str, line: int, column: int, title: str, message: str) -> str:
    where = f"file={_property(places.path(file))},line={max(line, 1)},col={max(column, 1)}"
    return f"::{name} {where},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
