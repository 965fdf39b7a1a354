"""A finding: one thing wrong, where, on what evidence, and the fix.

Rules yield findings, the diagnosis orders them, reports print them. Nothing here knows torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnndoctor.changes import Change


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # the run is broken or will be wasted
    WARNING = "warning"  # measured harm on this model
    INFO = "info"  # worth knowing, never fails a build

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the user's source; line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured figure, and what it should have been."""

    name: str
    value: float
    expected: float | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do: one line, why it helps, and the code to write.

    ``changes`` say it as edits of the source, all of them or none; ``diff`` is what comes of them there.
    """

    summary: str
    explanation: str = ""
    code: str | None = None
    changes: tuple[Change, ...] = ()
    diff: str | None = None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule yields; the engine fills in ``rule``, ``name``, ``practice`` and, if left out, ``severity``.

    ``message`` is one sentence with the number in it. ``subject`` is a layer or parameter path, an
    optimizer or a loader. ``caused_by`` is the code of the rule whose finding brought this one about.
    """

    message: str
    location: Location | None = None
    subject: str | None = None
    evidence: tuple[Evidence, ...] = ()
    fix: Fix | None = None
    severity: Severity | None = None
    caused_by: str | None = None
    rule: str = ""
    name: str = ""
    practice: str = ""


class NotApplicable(Exception):
    """Raised by a rule that has nothing to judge here: "no sigmoid in this model"."""


class NotExamined(Exception):
    """Raised by a rule whose measurements do not suffice: "only 2 steps were watched"."""
