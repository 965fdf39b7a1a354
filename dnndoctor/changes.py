"""What a fix does to the source, in a vocabulary that rules can speak without seeing a line of it.

A rule says *which* change (``SetArgument("bias", "False")``) and *where* (a location that was recorded). Whether the
source there allows it, and which characters it replaces, is found out later, where files may be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dnndoctor.findings import Location


class Safety(StrEnum):
    """What applying a change may do to a sound part of the run."""

    SAFE = "safe"  # the same results, or only those that were broken change
    UNSAFE = "unsafe"  # other results: another rate, another initialization, another model


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change; ``at``: where, else at the finding's location. ``of``: the last names of the callables that may
    stand there (``("softmax", "Softmax")``), where a line can hold several calls; empty: any.
    """

    at: Location | None = None
    of: tuple[str, ...] = ()
    safety: Safety = Safety.UNSAFE


@dataclass(frozen=True, slots=True)
class SetArgument(Change):
    """Give the call's argument this value: changed where it is there, by name or ``position``, else added by name.

    ``value`` is Python source. A value that is a plain name assigned once as a literal is changed at its assignment.
    """

    name: str
    value: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Unwrap(Change):
    """``f(x, ...)`` becomes ``x``; a module among others in a list or a call is taken out."""

    argument: int = 0


@dataclass(frozen=True, slots=True)
class Rename(Change):
    """The callable gets another last name, its arguments stay: ``optim.Adam(...)``, ``optim.AdamW(...)``."""

    to: str


@dataclass(frozen=True, slots=True)
class Rewrite(Change):
    """The expression becomes ``template``, in which {0}, {1} are its call's arguments and {it} is it as it stood."""

    template: str


@dataclass(frozen=True, slots=True)
class InsertBefore(Change):
    """Statements before the one at the location, indented as it is; ``imports`` are added where they lack."""

    code: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InsertAfter(Change):
    """Statements after the one at the location, indented as it is."""

    code: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveStatement(Change):
    """The statement goes; a block that it leaves empty gets ``pass``."""


@dataclass(frozen=True, slots=True)
class MoveStatement(Change):
    """The statement at the location is moved before (or after) the one at ``to``, within one block."""

    to: Location
    after: bool = False
