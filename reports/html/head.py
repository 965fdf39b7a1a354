"""What a newcomer reads in the first ten seconds: what is wrong, what to do first, and what after that."""

from dataclasses import dataclass
from shlex import quote
from textwrap import dedent

from markupsafe import Markup

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Severity
from dnndoctor.reports.html.cards import Card, Group
from dnndoctor.reports.words import plural, printable

LATER = 4
CHANGED_LINES = 8  # of a patch, in the head; a longer one is read at its finding


@dataclass(frozen=True, slots=True)
class First:
    """The one thing to do first: the fix, its cause, what it gains, and what it settles beside."""

    id: str
    rule: str
    grade: str
    todo: str
    place: str
    cause: str
    gain: Markup
    proven: str | None
    change: tuple[tuple[str, str], ...]
    settles: str | None
    also: "tuple[Later, ...]"


@dataclass(frozen=True, slots=True)
class Later:
    """A further thing to do."""

    id: str
    grade: str
    todo: str
    place: str


def first(group: Group) -> First | None:
    """The gravest root cause, as grave as what it brought about; None where nothing was found."""
    if not group.cards:
        return None
    card = group.cards[0]
    also = sum(1 for _ in card.below.walk()) + _folded(card)
    return First(
        id=card.id,
        rule=card.rule,
        grade=min((card, *card.below.walk()), key=lambda each: Severity(each.grade).rank).grade,
        todo=_todo(card),
        place=card.place,
        cause=card.message,
        gain=card.explanation,
        proven=card.proven,
        change=_change(card),
        settles=f"It also brought about {plural(also, 'other finding')}." if also else None,
        also=tuple(_later(each) for each in _alike(group)),
    )


def later(group: Group) -> tuple[tuple[Later, ...], int]:
    """What comes after that, and how many findings more there are that no other explains."""
    alike = _alike(group)
    rest = [each for each in group.cards[1:] if each not in alike]
    shown = tuple(_later(each) for each in rest[:LATER])
    return shown, len(rest) - len(shown) + sum(each.count for each in group.more)


def commands(diagnosis: Diagnosis) -> tuple[tuple[str, str], ...]:
    """How to get this examination, its patch and this page once more: what it gives and the command."""
    target, run = diagnosis.target, diagnosis.run
    made = []
    if target.kind in ("script", "module") and run.course is None:
        tail = ["--", *map(_quoted, target.args)] if target.args else []
        words = ["dnndoctor check", *(["-m"] if target.kind == "module" else []), _quoted(target.path)]
        words += [] if run.seed is None else ["--seed", str(run.seed)]
        made.append(("The examination", " ".join([*words, *tail])))
        if any(each.fix and each.fix.diff for each in diagnosis.findings):
            made.append(("The fixes as one patch", " ".join([*words, "--diff", *tail])))
    if run.recording:
        made.append(("This page, as recorded", f"dnndoctor report {_quoted(run.recording)} --html page.html"))
    return tuple(made)


def _quoted(word: str) -> str:
    """As a shell takes it; the user's text is made harmless first, for it will be pasted there."""
    return quote(printable(word))


def _alike(group: Group) -> list[Card]:
    """Other findings of the first one's rule, with the same to do at another place."""
    first, *rest = group.cards or (None,)
    return [each for each in rest if first and (each.rule, _todo(each)) == (first.rule, _todo(first))]


def _later(card: Card) -> Later:
    return Later(card.id, card.grade, _todo(card), card.place)


def _todo(card: Card) -> str:
    return card.summary or f"Look at {card.rule}: {card.message}"


def _folded(card: Card) -> int:
    return sum(more.count for each in (card, *card.below.walk()) for more in each.below.more)


def _change(card: Card) -> tuple[tuple[str, str], ...]:
    changed = [each for each in card.code if each[0] in ("added", "removed")]
    if not changed or len(changed) > CHANGED_LINES:
        return ()
    bare = dedent("\n".join(line[1:] for _, line in changed)).split("\n")
    return tuple((kind, f"{line[0]} {text}") for (kind, line), text in zip(changed, bare, strict=True))
