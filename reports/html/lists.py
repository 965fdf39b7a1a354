"""The rules that found nothing, by what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports.words import sentence
from dnndoctor.rule import Result, State


@dataclass(frozen=True, slots=True)
class Reason:
    """Rules, as code, name and the fault in words, that share what is said of them."""

    text: str
    rules: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class RuleList:
    """The rules that ended in one state, by reason; ``open``: what nobody may miss."""

    id: str
    title: str
    lead: str
    count: int
    reasons: tuple[Reason, ...]
    open: bool


LISTS = (
    (State.CRASHED, "crashed", "Crashed", "Rules that failed by a bug of dnndoctor; nothing is said about them."),
    (State.NOT_EXAMINED, "not-examined", "Not examined", "Nothing can be said about these faults."),
    (State.PASS, "passed", "Passed", "Faults that were looked for and not found."),
    (State.NOT_APPLICABLE, "not-applicable", "Not applicable", "There is nothing here that these rules could judge."),
)
OPEN = (State.CRASHED, State.NOT_EXAMINED)


def lists(diagnosis: Diagnosis) -> Iterator[RuleList]:
    """Those that hold any rule."""
    for state, identity, title, lead in LISTS:
        mine = [each for each in diagnosis.results if each.state is state]
        if mine:
            yield RuleList(identity, title, lead, len(mine), _reasons(mine), state in OPEN)


def _reasons(results: list[Result]) -> tuple[Reason, ...]:
    by_reason: dict[str, list[Result]] = {}
    for each in results:
        by_reason.setdefault(sentence(each.reason or ""), []).append(each)
    return tuple(
        Reason(text, tuple((each.rule.code, each.rule.name, each.rule.title) for each in group))
        for text, group in by_reason.items()
    )
