"""What every format says in the same words: the headline, the first thing to do, the order of findings, numbers."""

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dnndoctor.diagnosis import Diagnosis, Outcome, Verdict
from dnndoctor.findings import Evidence, Finding, Severity

# Characters that reorder the text around them: a line of source could be shown as what it is not.
BIDIRECTIONAL = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Node:
    """A finding with those that it brought about."""

    finding: Finding
    consequences: "tuple[Node, ...]"

    def walk(self) -> Iterator[Finding]:
        """This finding and all below it."""
        yield self.finding
        for each in self.consequences:
            yield from each.walk()


def tree(diagnosis: Diagnosis) -> tuple[Node, ...]:
    """Findings under their causes, each exactly once; the gravest group first.

    A cause that is not there itself (ignored, or in a circle) leaves its consequence standing on its own.
    """
    findings = diagnosis.findings
    by_rule: dict[str | None, list[int]] = {}
    for index, finding in enumerate(findings):
        by_rule.setdefault(finding.rule, []).append(index)
    children: dict[int, list[int]] = {}
    roots = []
    for index, finding in enumerate(findings):
        # Only the first two matter: thousands of findings may share a rule.
        causes = [i for i in by_rule.get(finding.caused_by, ())[:2] if i != index]
        children.setdefault(causes[0], []).append(index) if causes else roots.append(index)
    placed: set[int] = set()
    nodes = [_node(findings, children, index, placed) for index in roots]
    # What hangs in a circle; each that is placed places those below it.
    nodes += [_node(findings, children, index, placed) for index in range(len(findings)) if index not in placed]
    return tuple(sorted(nodes, key=lambda node: min(severity(each).rank for each in node.walk())))


def _node(findings: tuple[Finding, ...], children: dict[int, list[int]], index: int, placed: set[int]) -> Node:
    placed.add(index)
    below = tuple(_node(findings, children, child, placed) for child in children.get(index, ()) if child not in placed)
    return Node(findings[index], below)


def severity(finding: Finding) -> Severity:
    """The finding's severity; one that has none is information."""
    return finding.severity or Severity.INFO


def counts(diagnosis: Diagnosis) -> str:
    """ "1 error, 2 warnings"; empty if there is nothing."""
    named = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    tally = {each: sum(severity(finding) is each for finding in diagnosis.findings) for each in named}
    return ", ".join(plural(tally[each], word) for each, word in named.items() if tally[each])


def headline(diagnosis: Diagnosis) -> str:
    """The verdict in a sentence."""
    outcome = diagnosis.target.outcome
    reason = printable(diagnosis.target.reason or "no reason was recorded").rstrip(".")
    if outcome is Outcome.NOT:
        return f"Not examined: {reason}."
    head = f"Partly examined: {reason}. " if outcome is Outcome.PARTLY else ""
    return f"{head}{_verdict(diagnosis)}."


def _verdict(diagnosis: Diagnosis) -> str:
    found = counts(diagnosis)
    if found:
        return found
    judged = [each for each in diagnosis.practices if each.verdict is not Verdict.NOT_APPLICABLE]
    unseen = sum(each.verdict is Verdict.NOT_EXAMINED for each in judged)
    if not judged or unseen == len(judged):
        return "No practice could be examined"
    sound = f"No new faults found, {len(diagnosis.known):,} known" if diagnosis.known else "No faults found"
    return f"{sound}, {plural(unseen, 'practice')} not examined" if unseen else sound


def first_step(diagnosis: Diagnosis) -> str | None:
    """What to do first, with its place: "lower the learning rate to 0.01 (train.py:30)"."""
    nodes = tree(diagnosis)
    if not nodes:
        return None
    first = nodes[0].finding
    words = printable(first.fix.summary if first.fix else f"look at {first.rule}").rstrip(".")
    return f"{words} ({printable(first.location.file)}:{first.location.line})" if first.location else words


def summary(diagnosis: Diagnosis) -> str:
    """The headline and the first thing to do, in one line."""
    first = first_step(diagnosis)
    return f"{headline(diagnosis)} First: {first}." if first else headline(diagnosis)


def figure(value: float) -> str:
    """A number as people read it: four digits, no exponent where it can be helped."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if abs(value) < 1e6 and value == int(value):
        return f"{int(value):,}"
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("e-0", "e-").replace("e+", "e").replace("e0", "e")


def with_unit(value: float, unit: str | None) -> str:
    """A number with its unit; "%" stands close."""
    if unit is None:
        return figure(value)
    return f"{figure(value)}{'' if unit == '%' else ' '}{printable(unit)}"


def measured(evidence: Evidence) -> str:
    """ "std 1, expected 0.09"."""
    expected = "" if evidence.expected is None else f", expected {with_unit(evidence.expected, evidence.unit)}"
    return f"{printable(evidence.name)} {with_unit(evidence.value, evidence.unit)}{expected}"


def plural(count: int, word: str) -> str:
    """ "1 error", "2 errors"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def sentence(text: str) -> str:
    """With a capital at its head and a full stop at its end."""
    text = printable(text).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) or not text else ".")


def place(finding: Finding) -> str:
    """ "train.py:14:9", or the subject where the source is not known."""
    return printable(str(finding.location) if finding.location else finding.subject or "-")


def printable(text: str) -> str:
    """Text of the user's that can be shown anywhere: control characters and lone surrogates are spelled out.

    A terminal would obey an escape sequence in a file name, and a surrogate cannot be written as UTF-8.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(_harmless(each) for each in text)


def _harmless(character: str) -> str:
    if character in "\n ":
        return character
    if character in BIDIRECTIONAL or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return "" if character == "\r" else character.encode("unicode_escape").decode("ascii")
    return character


def width(text: str) -> int:
    """Columns that a terminal needs: wide characters take two, combining ones none."""
    return sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def one_line(text: str) -> str:
    """A message without its line breaks."""
    return " ".join(printable(text).split())


def joined(words: Iterable[str]) -> str:
    """ "a, b and c"."""
    listed = list(words)
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed)
