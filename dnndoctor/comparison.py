"""Two diagnoses side by side: which findings are gone, which came, which stayed.

A fault that the second run could not look for is not gone, and is never called so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from dnndoctor.config import FailOn
from dnndoctor.diagnosis import Diagnosis, Outcome, Verdict
from dnndoctor.findings import Finding, Severity
from dnndoctor.rule import State

Key = Callable[[Finding], Hashable]

_NUMBER = re.compile(r"\d+")

# From exact to loose: lines move, which of several equal layers is worst changes from run to run, an optimizer may be
# another one.
KEYS: tuple[Key, ...] = (
    lambda each: (each.rule, each.subject, each.location),
    lambda each: (each.rule, each.subject, each.location.file if each.location else None),
    lambda each: (each.rule, each.subject),
    lambda each: (each.rule, _NUMBER.sub("#", each.subject or "")),
    lambda each: (each.rule, each.location),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that is in one of the two; ``reason``: why its rule says nothing in the other, None where it passed."""

    finding: Finding
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stayed:
    """A finding that is in both."""

    before: Finding
    after: Finding

    @property
    def regraded(self) -> bool:
        """Whether it matters more or less than before."""
        return self.before.severity != self.after.severity

    @property
    def graver(self) -> bool:
        """Whether it matters more than before."""
        return _rank(self.after) < _rank(self.before)


@dataclass(frozen=True, slots=True)
class Turn:
    """A practice whose verdict is another one."""

    title: str
    before: Verdict
    after: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """``unjudged``: found before, and not looked for after."""

    before: Diagnosis
    after: Diagnosis
    gone: tuple[Change, ...]
    came: tuple[Change, ...]
    stayed: tuple[Stayed, ...]
    unjudged: tuple[Change, ...]
    turns: tuple[Turn, ...]

    def fails(self, limit: FailOn) -> bool:
        """Whether something came, or grew, that is as grave as this."""
        worse = [each.finding for each in self.came] + [each.after for each in self.stayed if each.graver]
        return any(limit.reached(each.severity) for each in worse if each.severity)

    @property
    def examined(self) -> bool:
        """Whether both can be compared: each was examined, and no rule failed by a bug of ours."""
        return not any(each.target.outcome is Outcome.NOT or each.crashed for each in (self.before, self.after))


def compare(before: Diagnosis, after: Diagnosis) -> Comparison:
    """What of the first is gone in the second, what came, and what stayed; each in the order of its report."""
    pairs = _pairs(before.findings, after.findings)
    kept_before, kept_after = {a for a, _ in pairs}, {b for _, b in pairs}
    left = [each for index, each in enumerate(before.findings) if index not in kept_before]
    came = [each for index, each in enumerate(after.findings) if index not in kept_after]
    lost = [Change(each, _silence(after, each)) for each in left]
    unseen = {id(each.finding) for each in lost if not _looked(after, each.finding)}
    return Comparison(
        before,
        after,
        gone=tuple(each for each in lost if id(each.finding) not in unseen),
        came=tuple(Change(each, _silence(before, each)) for each in came),
        stayed=tuple(Stayed(before.findings[a], after.findings[b]) for a, b in sorted(pairs, key=lambda p: p[1])),
        unjudged=tuple(each for each in lost if id(each.finding) in unseen),
        turns=tuple(_turns(before, after)),
    )


def _pairs(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> list[tuple[int, int]]:
    """Indices of findings that are the same; of several that one key fits, in their order."""
    pairs: list[tuple[int, int]] = []
    open_before, open_after = list(range(len(before))), list(range(len(after)))
    for key in KEYS:
        waiting: dict[Hashable, list[int]] = {}
        for index in open_after:
            waiting.setdefault(key(after[index]), []).append(index)
        for index in tuple(open_before):
            if mine := waiting.get(key(before[index])):
                pairs.append((index, mine.pop(0)))
                open_before.remove(index)
                open_after.remove(pairs[-1][1])
    for index in open_before:  # the only one of its rule on either side
        same = [each for each in open_after if after[each].rule == before[index].rule]
        if len(same) == 1 and sum(before[each].rule == before[index].rule for each in open_before) == 1:
            pairs.append((index, same[0]))
    return pairs


def _rank(finding: Finding) -> int:
    return (finding.severity or Severity.INFO).rank


def _looked(diagnosis: Diagnosis, finding: Finding) -> bool:
    """Whether its rule could have found it there; what does not exist there any more is gone."""
    states = {each.rule.code: each.state for each in diagnosis.results}
    return states.get(finding.rule) in (State.PASS, State.FINDING, State.NOT_APPLICABLE)


def _silence(diagnosis: Diagnosis, finding: Finding) -> str | None:
    result = next((each for each in diagnosis.results if each.rule.code == finding.rule), None)
    if result is None:
        return "its rule took no part"
    if result.state in (State.PASS, State.FINDING):
        return None
    return ": ".join(part for part in (str(result.state).replace("-", " "), result.reason) if part)


def _turns(before: Diagnosis, after: Diagnosis) -> Iterable[Turn]:
    verdicts = {each.id: each.verdict for each in before.practices}
    for each in after.practices:
        earlier = verdicts.get(each.id)
        if earlier is not None and earlier is not each.verdict:
            yield Turn(each.title, earlier, each.verdict)
