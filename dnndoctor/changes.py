"""What a fix does to the source, in a vocabulary that rules can speak without seeing a line of it.

A rule says *which* change (``SetArgument("bias", "False")``) and *where* (a location that was recorded). Whether the
source there allows it, and which characters it replaces, is found out later, where files may be read.

A location means the innermost call, operation or subscript that starts there and fits ``of``; where none does, the
assignment or statement. The sides of ``a + b`` and ``a += b`` are its arguments 0 and 1, and so are value and index of
``a[b]``; ``of`` names these by their sign: "+", "-", "/", "[]"; ``-a`` is "neg"; ``f(a)(b)``, the call of what a call
gives, is "f()". A location where an argument starts means that argument, to ``SetArgument``.

Templates are source with {0}, {1}: the arguments as they stand, {it}: the whole, {callee}: what is called. Names of
torch are written in full (``torch.nn.functional.relu``), and become what the file calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dnndoctor.findings import Location


class Safety(StrEnum):
    """What applying a change may do to a sound part of the run."""

    SAFE = "safe"  # the same results, or only those that were broken change
    UNSAFE = "unsafe"  # other results: another rate, another initialization, another model


@dataclass(frozen=True, slots=True)
class Loop:
    """The innermost loop around a statement within its function; the statement itself where there is none.

    ``without``: the outermost one that holds none of these places.
    """

    without: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change; ``at``: where, else at the finding's location. ``of``: the last names of the callables that may
    stand there (``("softmax", "Softmax")``), where a line can hold several calls; empty: any.

    ``method``: it may be the method of a tensor, which then counts as its argument 0.
    """

    at: Location | None = None
    of: tuple[str, ...] = ()
    safety: Safety = Safety.UNSAFE
    method: bool = False


@dataclass(frozen=True, slots=True)
class SetArgument(Change):
    """Give the call's argument this value: changed where it is there, by name or ``position``, else added by name.

    ``value`` is a template. A value that is a plain name assigned once as a literal is changed at its assignment.
    ``unless``: arguments beside which it makes no sense (``sampler`` beside ``shuffle``): where one of them is given,
    nothing can be done.
    """

    name: str
    value: str
    position: int | None = None
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveArgument(Change):
    """The call's argument goes; where it is not given there is nothing to do."""

    name: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Unwrap(Change):
    """``f(x, ...)`` becomes ``x``; a module among others in a list or a call is taken out, and one that is held by an
    attribute is no longer called. ``holding``: what ``x`` has to be a call of.
    """

    argument: int = 0
    holding: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rename(Change):
    """The callable gets another last name, its arguments stay: ``optim.Adam(...)``, ``optim.AdamW(...)``."""

    to: str


@dataclass(frozen=True, slots=True)
class Rewrite(Change):
    """The expression, or one ``argument`` of it, becomes ``template``.

    An argument that the template does not mention must be named in ``dropping``, or nothing can be done; one given by
    its place is named by its number there ("1").
    """

    template: str
    argument: int | None = None
    dropping: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InsertItem(Change):
    """An item (a template) before or after the one at the location, in the list or call that holds both."""

    code: str
    after: bool = False


@dataclass(frozen=True, slots=True)
class InsertBefore(Change):
    """Statements (a template) before the one at the location, or before a loop around it, indented as it is;
    ``imports`` are added where they lack.
    """

    code: str
    imports: tuple[str, ...] = ()
    loop: Loop | None = None


@dataclass(frozen=True, slots=True)
class InsertAfter(Change):
    """Statements after the one at the location, or after a loop around it, indented as it is.

    ``unless``: the last name of a call that makes them needless, wherever it stands within a loop or function.
    """

    code: str
    imports: tuple[str, ...] = ()
    loop: Loop | None = None
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Enclose(Change):
    """The statement at the location, or a loop around it, becomes the body of ``header`` (``with ...:``)."""

    header: str
    loop: Loop | None = None


@dataclass(frozen=True, slots=True)
class Hoist(Change):
    """The call that builds a layer in a method goes to the end of the class's ``__init__``, as an attribute named after
    the variable that it was given to, else ``name``. ``arguments``: source for them there, where the call's own are
    not all known in ``__init__``.
    """

    name: str
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class RemoveStatement(Change):
    """The statement goes; a block that it leaves empty gets ``pass``."""


@dataclass(frozen=True, slots=True)
class MoveStatement(Change):
    """The statement at the location is moved before (or after) the one at ``to``, or a loop around that one, within
    one function."""

    to: Location
    after: bool = False
    loop: Loop | None = None


@dataclass(frozen=True, slots=True)
class MoveBehind(Change):
    """The statement at the location is moved behind the last one of its block that binds ``name``, further down."""

    name: str


@dataclass(frozen=True, slots=True)
class FirstOf(Change):
    """Whichever of the ``options`` the source allows first, each of them changes that are made together."""

    options: tuple[tuple[Change, ...], ...]
