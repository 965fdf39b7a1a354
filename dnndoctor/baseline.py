"""A file of known findings: these pass, new ones fail, and what is mended leaves the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnndoctor.diagnosis import Diagnosis, diagnose
from dnndoctor.findings import Finding
from dnndoctor.fingerprints import VERSION, Fingerprints, numbered
from dnndoctor.rule import Result, State
from dnndoctor.workspace import BadInput, write

Known = dict[str, dict[str, Any]]


def written(diagnosis: Diagnosis, path: Path, root: Path) -> tuple[Diagnosis, str]:
    """All findings become known ones, in a file made anew; and a line that says so."""
    known = {mark: _entry(each) for mark, each in _marked(diagnosis, root)}
    _save(known, path)
    return _without(diagnosis, set(known), path, root), f"{path}: known from now on: {_count(len(known))}"


def applied(diagnosis: Diagnosis, path: Path, root: Path) -> tuple[Diagnosis, str | None]:
    """The diagnosis without what is known; of what is mended the file is rid, which the line says.

    A finding whose rule could not judge this time is not called mended. Raises BadInput for a file that is none.
    """
    known = _load(path)
    found = {mark for mark, _ in _marked(diagnosis, root)}
    judged = {each.rule.code for each in diagnosis.results if each.state in (State.FINDING, State.PASS)}
    mended = {mark: each for mark, each in known.items() if mark not in found and each.get("rule") in judged}
    said = None
    if mended:
        _save({mark: each for mark, each in known.items() if mark not in mended}, path)
        names = ", ".join(f"{each['rule']} {each['file'] or each['subject'] or ''}".strip() for each in mended.values())
        said = f"{path}: mended and no longer known: {names}"
    return _without(diagnosis, set(known), path, root), said


def _marked(diagnosis: Diagnosis, root: Path) -> list[tuple[str, Finding]]:
    from dnndoctor.reports.excerpt import source

    prints = Fingerprints(lambda file: source(file, root))
    marks = numbered([prints.of(each) for each in diagnosis.findings])
    return list(zip(marks, diagnosis.findings, strict=True))


def _without(diagnosis: Diagnosis, known: set[str], path: Path, root: Path) -> Diagnosis:
    left_out = [each for mark, each in _marked(diagnosis, root) if mark in known]
    if not left_out:
        return replace(diagnosis, baseline=str(path))
    bare = [replace(each, caused_by=None) for each in left_out]
    results = [_result(each, bare, path) for each in diagnosis.results]
    note = f"known and left out: {_count(len(left_out))} of {path}"
    run = replace(diagnosis.run, notes=(*diagnosis.run.notes, note))
    made = diagnose(diagnosis.target, run, diagnosis.measurements, results)
    return replace(made, known=tuple(left_out), baseline=str(path))


def _count(findings: int) -> str:
    return f"{findings} finding{'' if findings == 1 else 's'}"


def _result(result: Result, known: list[Finding], path: Path) -> Result:
    """A rule whose every finding is known has neither failed nor passed."""
    stay = tuple(each for each in result.findings if replace(each, caused_by=None) not in known)
    if len(stay) == len(result.findings):
        return result
    if stay:
        return replace(result, findings=stay)
    return replace(result, findings=(), state=State.NOT_APPLICABLE, reason=f"known: {path}")


def _entry(finding: Finding) -> dict[str, Any]:
    """What people need to know which one it is; only the fingerprint is compared."""
    file = finding.location.file if finding.location else None
    return {"rule": finding.rule, "file": file, "subject": finding.subject, "message": finding.message}


def _save(known: Known, path: Path) -> None:
    rows = [{"fingerprint": mark, **each} for mark, each in sorted(known.items(), key=_order)]
    document = {"fingerprints": VERSION, "findings": rows}
    write(path, json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def _order(item: tuple[str, dict[str, Any]]) -> tuple[str, str, str]:
    mark, each = item
    return each["rule"], each["file"] or "", mark


def _load(path: Path) -> Known:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["fingerprints"] != VERSION:
            raise BadInput(f"{path}: was written by another version; make it anew with --write-baseline")
        return {
            str(each["fingerprint"]): {key: each.get(key) for key in ("rule", "file", "subject", "message")}
            for each in document["findings"]
        }
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; --write-baseline makes it") from None
    except OSError as why:
        raise BadInput(f"{path}: {why.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        if isinstance(why, BadInput):
            raise
        raise BadInput(f"{path}: is no baseline of dnndoctor") from None
