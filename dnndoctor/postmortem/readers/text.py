"""What programs print: lines with a loss in them, as their authors came to write them.

No form is presumed. A line is taken apart into names and numbers ("loss: 0.31", "lr=1e-3", "Loss 6.9 (7.0)"), into its
place in the run ("Epoch 3/10", "[640/60000 (1%)]", "step 1200", "45/100 [00:12<00:15"), and its moment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable
from dnndoctor.postmortem.names import EPOCH, HELD_OUT, STEP, TRAINING, Role, parts, role
from dnndoctor.postmortem.readers.tables import instant

LONGEST_LINE = 4096
LONGEST_RAW = 1 << 20
MOST_POINTS = 5_000_000
MOST_NAMES = 200

_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)(?!\w)"
_WORD = r"(?!(?:nan|inf|infinity)\b)[A-Za-z_@][\w@./]*"
# The name is the words right before the number, with a sign or only spaces between.
_PAIR = re.compile(
    rf"(?P<name>{_WORD}(?: {_WORD}){{0,3}})(?!\w)['\"]?\)?\s*(?:[:=]|->|→)?\s*['\"]?"
    rf"(?:tensor\(|np\.float\d+\(|\[)?(?P<value>{_NUMBER})",
    re.IGNORECASE,
)
_EPOCH = re.compile(
    r"\bep(?:och)?s?\b[^\w.-]{0,4}(\d+(?:\.\d+)?)|\btrain(?:ing)?: (\d+) \[|^\W{0,2}\[?(\d+)/\d+\]\W{0,2}\[\s*\d+/",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(?<![/\w])(?:(?:global|train|training)[_ ]?)?(?:step|iter|iters|iteration|it|itr|num_updates|update|batch)s?\b"
    r"[^\w.-]{0,4}(\d+)(?![\d.]*(?:it/s|s/it))",
    re.IGNORECASE,
)
# "[640/60000", "[  50/1251 (", "100 / 1000", " 45/100 [00:12<00:15": how much is done, of the epoch or of the run.
_DONE = re.compile(r"(?<![\d/.:-])(\d{1,12})\s*/\s*(\d{1,12})(?![\d/.:-])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?")
_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LEVELS = frozenset("info debug warning error critical root train.py main".split())
_FIGURE = re.compile(r"\d|nan")
_WORTH = re.compile(r"loss|nll", re.IGNORECASE)
_FAILURE = re.compile(r"^(?:\[?rank\s?\d+\]?:\s*)?([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Killed|Exit)):?\s?(.*)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the run a line stands; ``done``: a part of the epoch or of the run, with the whole of it."""

    epoch: float | None = None
    step: float | None = None
    done: tuple[float, float] | None = None

    def moved(self, line: str) -> Place:
        """The place that this line tells; the epoch stays until another one begins."""
        # A log has a million lines: what a plain look shows not to be there is not searched for.
        lower = line.lower()
        epoch = _EPOCH.search(line) if "[" in lower or "ep" in lower.replace("step", "") else None
        step, loss = _STEP.search(line), _WORTH.search(line)
        before = line[: loss.start()] if loss else line
        if epoch:  # "Epoch 3/10" leaves "/10", which is no part of anything
            before = before[max(epoch.end(1), epoch.end(2), epoch.end(3)) :]
        found = ((float(a), float(b)) for a, b in _DONE.findall(before)) if "/" in before else ()
        done = next(((a, b) for a, b in found if b > 1 and a <= b), None)
        number = next((float(each) for each in epoch.groups() if each), self.epoch) if epoch else self.epoch
        return Place(number, float(step[1]) if step else None, done)


def read(file: Path) -> Log:
    """Every named figure of the lines that tell a loss, and the exception that ended the run."""
    points, place, facts = Points(), Place(), dict[str, str | int]()
    full, partial = set[int](), False
    for at, line in _lines(file):
        if failure := _FAILURE.match(line.strip()):
            facts |= {"exception": failure[1], "exception_message": failure[2][:300], "exception_line": at}
        if not _FIGURE.search(line):
            continue
        moment = _MOMENT.search(line) if line.count(":") > 1 and line.count("-") > 1 else None
        time = instant(moment[0]) if moment else None
        line = line.replace(moment[0], " ") if moment else line
        place = place.moved(line)
        if not _WORTH.search(line):
            continue
        if place.done is not None:
            partial = partial or place.done[0] < place.done[1]
            full.add(at)
        step = place.step if place.step is not None else _whole_run(place)
        for name, value in figures(line):
            points.add(name, value, step=step, epoch=_epoch(place), time=time, line=at)
        if points.count > MOST_POINTS:
            break
    series = tuple(each for each in points.series()[:MOST_NAMES] if len(each.value) > 1)
    if full and not partial:  # one line per epoch, with its bar full: the epoch is what it says
        series = tuple(replace(each, epoch=each.epoch - np.isin(each.line, list(full))) for each in series)
    if not any(role(each.name) in (Role.LOSS, Role.VALIDATION_LOSS) for each in series):
        raise Unreadable(f"{file}: no lines of it tell a loss")
    return Log(file, series, facts)


def _whole_run(place: Place) -> float | None:
    return place.done[0] if place.done is not None and place.epoch is None else None


def _epoch(place: Place) -> float | None:
    """The epoch with the part of it that is done, as far as the line tells."""
    if place.epoch is None or place.done is None or place.epoch != int(place.epoch):
        return place.epoch
    return place.epoch + place.done[0] / place.done[1]


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines; a progress bar's states, which carriage returns part, are lines of their own."""
    with file.open("rb") as stream:
        at = 1
        while raw := stream.readline(LONGEST_RAW):
            for each in raw.split(b"\r"):
                if each.strip():
                    yield at, _COLOR.sub("", each[:LONGEST_LINE].decode("utf-8", "replace"))
            at += raw.endswith(b"\n")


def figures(line: str) -> Iterator[tuple[str, float]]:
    """Names and numbers of a line. A name that says of which data it is said ("val") speaks for those after it."""
    said: set[str] = set()
    about, reached = "", 0
    for match in _PAIR.finditer(line):
        begin, end = match.span()
        if begin - reached > 2:  # room for a word
            about = _about(line[reached:begin]) or about
        reached = end
        called, value = match.groups()
        name, about = _named(called, about)
        if name and name not in said:
            said.add(name)
            yield name, float(value.replace("_", ""))


@functools.lru_cache(maxsize=1 << 14)  # the same few names, in a million lines
def _named(text: str, about: str) -> tuple[str, str]:
    """What to call a figure, "" where it is none of its own, and of which data its name or one before it speaks."""
    words = [each for each in text.split(" ") if each.lower() not in _LEVELS]
    own = _about(text)
    about = own or about
    if not words or words[-1].lower() in (*STEP, *EPOCH):
        return "", about
    name = " ".join(words)
    if about in HELD_OUT and not own and role(name) not in (Role.RATE, Role.GRAD_NORM):
        name = f"{about} {name}"
    return name, about


@functools.lru_cache(maxsize=1 << 14)
def _about(text: str) -> str:
    """The last word in it that speaks of training or of held-out data."""
    return next((each for each in reversed(parts(text)) if each in HELD_OUT or each in TRAINING), "")


READERS = (
    Reader("text", lambda path, head: path.suffix in (".log", ".out", ".txt") and b"\0" not in head, read),
    Reader("text", lambda _path, head: bool(head) and b"\0" not in head, read, True),
)
