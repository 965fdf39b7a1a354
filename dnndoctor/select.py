"""Which rules take part: ``--select``, ``--ignore`` and ``--extend-select``, with ruff's precedence."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dnndoctor.config import Settings
    from dnndoctor.rule import Rule

EVERYTHING = "ALL"
EXACT = 1000  # a code or a name is more exact than any prefix


class UnknownSelector(ValueError):
    """A selector that means no rule; the message names the nearest one that does."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Selectors from one source; ``select`` is None where that source leaves the choice as it was."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()


def chosen(settings: Settings, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that take part, in their given order."""
    own = Selection(select=settings.select, ignore=settings.ignore, extend_select=settings.extend_select)
    return resolve((own, settings.overrides), rules)


def resolve(layers: Iterable[Selection], rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that the layers leave switched on; a later layer wins over an earlier one.

    Within a layer the most exact selector decides, and ``ignore`` decides a tie. A layer with a ``select`` of its
    own starts afresh, but keeps what was ignored before unless it names that at least as exactly.

    Raises UnknownSelector.
    """
    rules = tuple(rules)
    on: set[str] = set()
    ignored_before: tuple[str, ...] = ()
    for layer in layers:
        for selector in (*(layer.select or ()), *layer.extend_select, *layer.ignore):
            known(selector, rules)
        if layer.select is not None:
            on = set()
        for each in rules:
            verdict = _verdict(each, layer, ignored_before if layer.select is not None else ())
            if verdict is not None:
                (on.add if verdict else on.discard)(each.code)
        ignored_before += layer.ignore
    return tuple(each for each in rules if each.code in on)


def exactness(selector: str, rule: Rule) -> int | None:
    """How exactly a selector names a rule: 0 for "ALL", more for a longer prefix; None if it does not."""
    if selector.upper() == EVERYTHING:
        return 0
    if selector.upper() == rule.code or selector.lower() == rule.name:
        return EXACT
    if selector.lower() == rule.practice:
        return 3  # a practice has three letters
    if selector and rule.code.startswith(selector.upper()):
        return len(selector)
    return None


def known(selector: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that a selector means.

    Raises UnknownSelector, naming the nearest selector, if there is none.
    """
    from dnndoctor.registry import practices

    rules = tuple(rules)
    meant = tuple(each for each in rules if exactness(selector, each) is not None)
    if not meant and selector.lower() not in practices():
        raise UnknownSelector(
            f'no rule is meant by "{selector}"{nearest(selector, [*_vocabulary(rules), *practices()])}'
        )
    return meant


def nearest(word: str, words: Iterable[str]) -> str:
    """``; nearest: ...`` for an error message, or nothing if no word is like it."""
    by_lower = {each.lower(): each for each in words}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; nearest: {by_lower[close[0]]}" if close else ""


def _vocabulary(rules: tuple[Rule, ...]) -> list[str]:
    prefixes = {each.code[:3] for each in rules}
    return [each.code for each in rules] + [each.name for each in rules] + [*sorted(prefixes), EVERYTHING]


def _verdict(rule: Rule, layer: Selection, ignored_before: tuple[str, ...]) -> bool | None:
    votes = [(exactness(each, rule), 0, False) for each in ignored_before]
    votes += [(exactness(each, rule), 1, True) for each in (*(layer.select or ()), *layer.extend_select)]
    votes += [(exactness(each, rule), 2, False) for each in layer.ignore]
    cast = [(exact, order, on) for exact, order, on in votes if exact is not None]
    return max(cast)[2] if cast else None
