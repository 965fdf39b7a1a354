"""Which findings' changes are made, in which order, and what comes of them: one patch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dnndoctor.changes import Change, FirstOf, Safety
from dnndoctor.findings import Finding
from dnndoctor.fixes.files import Files
from dnndoctor.fixes.realise import Edits, realise
from dnndoctor.fixes.source import Edit, Refused, Source, applied
from dnndoctor.rule import Result

CONTEXT = 3  # lines around a change


@dataclass(frozen=True, slots=True)
class Fixed:
    """What became of one finding's changes: its own ``diff``, or why it has none."""

    finding: Finding
    safety: Safety | None = None
    diff: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Everything that is made together. ``old`` and ``new``: the texts of the files, by name."""

    made: tuple[Fixed, ...] = ()
    left: tuple[Fixed, ...] = ()
    old: Mapping[str, str] = field(default_factory=dict)
    new: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As ``git apply`` and ``patch -p1`` take it; "" where there is nothing to do."""
        return "".join(unified(file, self.old[file], self.new[file]) for file in sorted(self.new))


def safety(changes: Iterable[Change]) -> Safety:
    """As unsafe as the least safe of them."""
    found: set[Safety] = set()
    for each in changes:
        found |= {safety(option) for option in each.options} if isinstance(each, FirstOf) else {each.safety}
    return Safety.UNSAFE if Safety.UNSAFE in found else Safety.SAFE


def plan(findings: Iterable[Finding], files: Files, allowed: Iterable[Safety] = tuple(Safety)) -> Patch:
    """The changes of the findings in their order, the gravest first; what overlaps one before it waits.

    A finding whose cause is treated waits as well: it may be gone with it, and two treatments of one fault harm.
    """
    may = set(allowed)
    made: list[Fixed] = []
    left: list[Fixed] = []
    taken: Edits = {}
    for finding in findings:
        if finding.fix is None or not finding.fix.changes:
            continue
        how, diff = safety(finding.fix.changes), None
        try:
            edits = realise(finding.fix.changes, finding.location, files)
            diff = _diff(edits, files)
            _admit(finding, how, may, made)
            taken |= _together(edits, taken, files)
        except Refused as why:
            left.append(Fixed(finding, how, diff, str(why)))
        else:
            made.append(Fixed(finding, how, diff))
    old = {file: files(file).text for file in taken}
    new = {file: applied(old[file], edits) for file, edits in taken.items()}
    return Patch(tuple(made), tuple(left), old, new)


def _admit(finding: Finding, how: Safety, may: set[Safety], made: list[Fixed]) -> None:
    if how not in may:
        raise Refused("it changes results")
    if finding.caused_by and any(each.finding.rule == finding.caused_by for each in made):
        raise Refused(f"{finding.caused_by}, its cause, is treated first")


def _together(edits: Edits, taken: Edits, files: Files) -> Edits:
    """What is taken in the files concerned, with these edits; identical ones count once."""
    if _overlap(edits, taken):
        raise Refused("another change is made at the same place first")
    merged = {file: [*taken.get(file, []), *_new(mine, taken.get(file, []))] for file, mine in edits.items()}
    for file, mine in merged.items():
        try:
            Source(applied(files(file).text, mine))
        except SyntaxError as why:
            raise Refused("it does not go together with another change") from why
    return merged


def _new(edits: list[Edit], known: list[Edit]) -> list[Edit]:
    return [each for each in edits if each not in known]


def _overlap(edits: Edits, taken: Edits) -> bool:
    return any(
        one != other and max(one.start, other.start) < min(one.end, other.end)
        for file, mine in edits.items()
        for one in mine
        for other in taken.get(file, ())
    )


def _diff(edits: Edits, files: Files) -> str:
    if not edits:
        raise Refused("there is nothing to do")
    texts = {file: files(file).text for file in sorted(edits)}
    return "".join(unified(file, old, applied(old, edits[file])) for file, old in texts.items())


def unified(file: str, old: str, new: str) -> str:
    """A unified diff of one file; a last line without an end is told as ``diff`` tells it."""
    lines = difflib.unified_diff(_lines(old), _lines(new), f"a/{file}", f"b/{file}", n=CONTEXT)
    return "".join(each if each.endswith("\n") else f"{each}\n\\ No newline at end of file\n" for each in lines)


def _lines(text: str) -> list[str]:
    """Lines as ``patch`` counts them: a carriage return or a form feed ends none."""
    *whole, last = text.split("\n")
    return [f"{each}\n" for each in whole] + ([last] if last else [])


def with_diffs(results: Iterable[Result], files: Files) -> tuple[Result, ...]:
    """The results, with what each finding's changes would make of the source, by itself."""
    return tuple(replace(each, findings=tuple(_shown(f, files) for f in each.findings)) for each in results)


def _shown(finding: Finding, files: Files) -> Finding:
    if finding.fix is None or not finding.fix.changes:
        return finding
    try:
        diff = _diff(realise(finding.fix.changes, finding.location, files), files)
    except Refused:
        return finding
    return replace(finding, fix=replace(finding.fix, diff=diff))
