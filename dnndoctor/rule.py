"""The rule decorator. A rule's signature is its contract.

Positional parameters name, by their annotation, the measurements that the rule needs; one annotated
``X | None`` is passed ``None`` where it was not measured. Keyword-only parameters are its thresholds.
Everything else a reader may want to know about a rule is derived from the function itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dnndoctor.families import FAMILIES
from dnndoctor.findings import Finding, NotApplicable, NotExamined, Severity
from dnndoctor.measurements.missing import Missing
from dnndoctor.measurements.run import Run

Check = Callable[..., Iterator[Finding]]
Measurements = Mapping[type, Any]


class State(StrEnum):
    """How a rule ended."""

    FINDING = "finding"
    PASS = "pass"  # noqa: S105 - a state, no password
    NOT_APPLICABLE = "not-applicable"
    NOT_EXAMINED = "not-examined"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Need:
    """A measurement that a rule asks for."""

    kind: type
    optional: bool

    @property
    def words(self) -> str:
        """The measurement's name as people write it."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", self.kind.__name__).lower()


@dataclass(frozen=True, slots=True)
class Result:
    """What one rule came to; ``reason`` says why it could not judge."""

    rule: Rule
    state: State
    reason: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A check with its metadata; ``not_for``: families of training that it says nothing about, with the reason."""

    code: str
    severity: Severity
    practice: str
    check: Check
    not_for: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The kebab-case name of the fault."""
        return self.check.__name__.replace("_", "-")

    @cached_property
    def doc(self) -> str:
        """The manual page."""
        return inspect.getdoc(self.check) or ""

    @cached_property
    def title(self) -> str:
        """The manual page's first line."""
        return self.doc.partition("\n")[0]

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """The measurements, in the order of the positional parameters."""
        hints = get_type_hints(self.check)
        names = [p.name for p in self._parameters if p.kind is not p.KEYWORD_ONLY]
        return tuple(_need(hints[name]) for name in names)

    @cached_property
    def thresholds(self) -> Mapping[str, Any]:
        """Threshold names with their defaults."""
        return {p.name: p.default for p in self._parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def _parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.check).parameters.values())

    def evaluate(self, measurements: Measurements, thresholds: Mapping[str, Any] | None = None) -> Result:
        """Judge the measurements that the rule asked for, and no others. Never raises for a bug of the rule's."""
        result = self._judge(measurements, thresholds)
        run = measurements.get(Run)
        reason = self.not_for.get(run.family) if isinstance(run, Run) else None
        # A reason of the rule's own, "no sigmoid in this model", tells more than the family.
        if reason is None or result.state is State.NOT_APPLICABLE:
            return result
        return Result(self, State.NOT_APPLICABLE, reason)

    def _judge(self, measurements: Measurements, thresholds: Mapping[str, Any] | None) -> Result:
        arguments = []
        for need in self.needs:
            value = measurements.get(need.kind, Missing("it was not recorded"))
            if isinstance(value, Missing) and not need.optional:
                return Result(self, State.NOT_EXAMINED, value.reason)
            arguments.append(None if isinstance(value, Missing) else value)
        try:
            found = tuple(self._sign(f) for f in self.check(*arguments, **(thresholds or {})))
        except NotApplicable as why:
            return Result(self, State.NOT_APPLICABLE, str(why))
        except NotExamined as why:
            return Result(self, State.NOT_EXAMINED, str(why))
        except Exception as bug:  # noqa: BLE001 - one broken rule must not take the report down
            return Result(self, State.CRASHED, f"{type(bug).__name__}: {bug}")
        return Result(self, State.FINDING if found else State.PASS, None, found)

    def _sign(self, finding: Finding) -> Finding:
        return replace(
            finding,
            rule=self.code,
            name=self.name,
            practice=self.practice,
            severity=finding.severity or self.severity,
        )


def rule(
    code: str, severity: Severity, *, practice: str, not_for: Mapping[str, str] | None = None
) -> Callable[[Check], Rule]:
    """Make a check function into a rule; ``severity`` is what a finding has unless it says otherwise.

    ``not_for`` names the families of training in which the rule makes no sense, each with a reason that completes
    "not applicable: ...".
    """
    unknown = set(not_for or ()) - set(FAMILIES)
    if unknown:
        raise ValueError(f"{code}: no family of training is called {', '.join(sorted(unknown))}")
    return lambda check: Rule(code, severity, practice, check, dict(not_for or {}))


def _need(hint: Any) -> Need:
    if get_origin(hint) in (Union, UnionType):
        [kind] = [each for each in get_args(hint) if each is not NoneType]
        return Need(kind, optional=True)
    return Need(hint, optional=False)
