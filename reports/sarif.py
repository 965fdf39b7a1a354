"""SARIF 2.1.0, as code scanning and editors read it: every result with a place, fixes where there is an edit."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dnndoctor import __version__
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.findings import Evidence, Finding, Location, Severity
from dnndoctor.fingerprints import VERSION, Fingerprints, numbered
from dnndoctor.reports.excerpt import source
from dnndoctor.reports.places import Places
from dnndoctor.reports.words import headline, printable, sentence, severity
from dnndoctor.rule import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
ROOT = "SRCROOT"
_FILE = re.compile(r"^\+\+\+ b/(.*)$")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ")


def render(diagnosis: Diagnosis, root: Path) -> str:
    """One run; files from the repository's root."""
    places = Places(diagnosis, root)
    rules = [each.rule for each in diagnosis.results]
    prints = Fingerprints(lambda file: source(file, root))
    unique = numbered([prints.of(each) for each in diagnosis.findings])
    run = {
        "tool": {"driver": {"name": "dnndoctor", "version": __version__, "rules": [_rule(each) for each in rules]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(diagnosis, places)],
        "results": [
            _result(each, mark, places, [one.code for one in rules])
            for each, mark in zip(diagnosis.findings, unique, strict=True)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": sentence(rule.title)},
        "fullDescription": {"text": sentence(rule.title)},
        "help": {"text": rule.doc or sentence(rule.title)},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": [rule.practice]},
    }


def _invocation(diagnosis: Diagnosis, places: Places) -> dict[str, Any]:
    notes = [_notification(each, "note") for each in diagnosis.run.notes]
    notes += [_notification(f"{each.rule.code} failed: {each.reason}", "error") for each in diagnosis.crashed]
    if diagnosis.target.outcome is not Outcome.EXAMINED:
        said = _notification(headline(diagnosis), "error")
        notes.append(said | {"locations": [_location(places.target, places)]})
    good = diagnosis.target.outcome is not Outcome.NOT and not diagnosis.crashed
    return {"executionSuccessful": good, "toolExecutionNotifications": notes}


def _notification(text: str, level: str) -> dict[str, Any]:
    return {"message": {"text": sentence(text)}, "level": level}


def _result(finding: Finding, mark: str, places: Places, codes: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": LEVELS[severity(finding)],
        "message": {"text": _message(finding)},
        "locations": [_location(places.anchor(finding), places, finding.subject)],
        "partialFingerprints": {VERSION: mark},
        "properties": {"evidence": [_evidence(each) for each in finding.evidence]},
    }
    if finding.rule in codes:
        made["ruleIndex"] = codes.index(finding.rule)
    if finding.caused_by:
        made["properties"]["causedBy"] = finding.caused_by
    changes = list(_changes(finding.fix.diff, places)) if finding.fix and finding.fix.diff else []
    if finding.fix and changes:
        made["fixes"] = [{"description": {"text": sentence(finding.fix.summary)}, "artifactChanges": changes}]
    return made


def _message(finding: Finding) -> str:
    fix = f" Fix: {sentence(finding.fix.summary)}" if finding.fix else ""
    # Brackets would be read as links.
    return re.sub(r"([\[\]\\])", r"\\\1", sentence(finding.message) + fix)


def _location(at: Location, places: Places, subject: str | None = None) -> dict[str, Any]:
    region = {"startLine": max(at.line, 1), "startColumn": max(at.column, 1)}
    made: dict[str, Any] = {"physicalLocation": {"artifactLocation": _artifact(at.file, places), "region": region}}
    if subject:
        made["logicalLocations"] = [{"fullyQualifiedName": printable(subject)}]
    return made


def _artifact(file: str, places: Places) -> dict[str, str]:
    path = places.path(file)
    uri = quote(path.encode("utf-8", "surrogateescape"))
    return {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": f"%{ROOT}%"}


def _evidence(one: Evidence) -> dict[str, Any]:
    figures = {"value": repr(float(one.value))}
    figures |= {"expected": repr(float(one.expected))} if one.expected is not None else {}
    return {"name": printable(one.name), **figures, **({"unit": printable(one.unit)} if one.unit else {})}


def _changes(diff: str, places: Places) -> Iterator[dict[str, Any]]:
    """Each file's hunks, as whole lines that are replaced."""
    changes: dict[str, list[dict[str, Any]]] = {}
    file, start, old, new = "", 0, 0, list[str]()

    def finish() -> None:
        if file and start:
            region = {"startLine": start, "startColumn": 1, "endLine": start + old, "endColumn": 1}
            made = {"deletedRegion": region, "insertedContent": {"text": "".join(f"{each}\n" for each in new)}}
            changes.setdefault(file, []).append(made)

    for line in diff.splitlines():
        if match := _FILE.match(line):
            finish()
            file, start = match[1], 0
        elif match := _HUNK.match(line):
            finish()
            start, old, new = int(match[1]), 0, []
        elif start and line[:1] in (" ", "-", "+"):
            old += line[0] != "+"
            new += [line[1:]] if line[0] != "-" else []
    finish()
    for name, replacements in changes.items():
        yield {"artifactLocation": _artifact(name, places), "replacements": replacements}
