"""What the settings say of findings: not in these files or modules, and graver or milder than the rule has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from dnndoctor.config import Settings
from dnndoctor.findings import Finding
from dnndoctor.rule import Result, Rule, State
from dnndoctor.select import exactness


def under_policy(results: Iterable[Result], settings: Settings) -> tuple[tuple[Result, ...], int]:
    """The results with what is ignored left out and severities as set, and how many findings were left out."""
    before = tuple(results)
    after = tuple(_judged(each, settings) for each in before)
    left_out = sum(len(each.findings) for each in before) - sum(len(each.findings) for each in after)
    return after, left_out


def _judged(result: Result, settings: Settings) -> Result:
    if not result.findings:
        return result
    stay = tuple(_graded(f, result.rule, settings) for f in result.findings if not _ignored(f, result.rule, settings))
    if not stay:
        return replace(result, findings=(), state=State.NOT_APPLICABLE, reason="ignored there by the settings")
    return replace(result, findings=stay)


def _ignored(finding: Finding, rule: Rule, settings: Settings) -> bool:
    file = finding.location.file.replace("\\", "/") if finding.location else None
    return _meant(file, rule, settings.per_file_ignores) or _meant(finding.subject, rule, settings.per_module_ignores)


def _meant(name: str | None, rule: Rule, ignores: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a pattern that fits the name ignores the rule; a folder or a module stands for all below it."""
    if name is None:
        return False
    return any(
        exactness(selector, rule) is not None
        for pattern, selectors in ignores.items()
        if _fits(name, pattern)
        for selector in selectors
    )


def _fits(name: str, pattern: str) -> bool:
    below = (f"{pattern}/*", f"*/{pattern}", f"{pattern}.*")
    return any(fnmatchcase(name, each) for each in (pattern, *below))


def _graded(finding: Finding, rule: Rule, settings: Settings) -> Finding:
    fitting = [
        (exact, grade) for each, grade in settings.severities.items() if (exact := exactness(each, rule)) is not None
    ]
    if not fitting:
        return finding
    return replace(finding, severity=max(fitting, key=lambda each: each[0])[1])
