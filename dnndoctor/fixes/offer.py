"""What the command line does with fixes: one patch, or files changed in place; and what it says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dnndoctor.changes import Safety
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.fixes.files import Files, replace_content
from dnndoctor.fixes.plan import Fixed, Patch, plan
from dnndoctor.fixes.source import Refused

SAYS = {Safety.SAFE: "", Safety.UNSAFE: " (changes results)"}


def patch(diagnosis: Diagnosis, root: Path, *, unsafe: bool) -> tuple[Patch, Files]:
    """The changes of all findings that go together; without ``unsafe`` those that change no sound results."""
    files = Files(lambda name: (root / name).read_bytes(), diagnosis.run.sources)
    allowed = tuple(Safety) if unsafe else (Safety.SAFE,)
    return plan(diagnosis.findings, files, allowed), files


def apply(offered: Patch, files: Files, root: Path) -> list[str]:
    """Write every file of the patch; gives the problems, one line each."""
    problems = []
    for name, text in sorted(offered.new.items()):
        try:
            replace_content(root / name, files.file(name), text)
        except (Refused, OSError, UnicodeEncodeError) as why:
            problems.append(f"{name} was left as it is: {why}")
    return problems


def told(offered: Patch, *, done: bool) -> Iterator[str]:
    """One line for each finding with changes: what is done about it, or why nothing is."""
    for each in offered.made:
        yield f"{'fixed' if done else 'fix'} {_named(each)}: {_summary(each)}{SAYS[each.safety or Safety.SAFE]}"
    for each in offered.left:
        advice = "; --unsafe-fixes makes it" if each.refused == "it changes results" else ""
        yield f"not fixed {_named(each)}: {_summary(each)}: {each.refused}{advice}"


def _named(each: Fixed) -> str:
    finding = each.finding
    return f"{finding.rule} at {finding.location}" if finding.location else finding.rule


def _summary(each: Fixed) -> str:
    fix = each.finding.fix
    return fix.summary[:1].lower() + fix.summary[1:] if fix is not None else ""
