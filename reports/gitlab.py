"""GitLab's code quality report: what a merge request shows as found and as mended."""

import json
from pathlib import Path
from typing import Any

from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.findings import Finding, Location, Severity
from dnndoctor.fingerprints import Fingerprints, numbered
from dnndoctor.reports.excerpt import source
from dnndoctor.reports.places import Places
from dnndoctor.reports.words import headline, printable, sentence, severity

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def render(diagnosis: Diagnosis, root: Path) -> str:
    """An array of findings; a target that was not examined is one of them, else it would look mended."""
    places, prints = Places(diagnosis, root), Fingerprints(lambda file: source(file, root))
    # Known findings stay in it: GitLab compares with the target branch by itself.
    found = [*diagnosis.findings, *diagnosis.known]
    unique = numbered([prints.of(each) for each in found])
    issues = [_issue(each, places, mark) for each, mark in zip(found, unique, strict=True)]
    if diagnosis.target.outcome is Outcome.NOT:
        mark = f"not-examined:{printable(diagnosis.target.path)}"
        issues.append(_entry(headline(diagnosis), "not-examined", mark, "blocker", places.target, places))
    return json.dumps(issues, indent=2) + "\n"


def _issue(finding: Finding, places: Places, mark: str) -> dict[str, Any]:
    fix = f" Fix: {sentence(finding.fix.summary)}" if finding.fix else ""
    said = f"{finding.rule} {finding.name}: {sentence(finding.message)}{fix}"
    return _entry(said, finding.rule, mark, SEVERITIES[severity(finding)], places.anchor(finding), places)


def _entry(said: str, check: str, mark: str, grade: str, at: Location, places: Places) -> dict[str, Any]:
    return {
        "description": said,
        "check_name": check,
        "fingerprint": mark,
        "severity": grade,
        "location": {"path": printable(places.path(at.file)), "lines": {"begin": max(at.line, 1)}},
    }
